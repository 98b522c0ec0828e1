import type { Vpc } from "../world.ts";
import { sectionName } from "./proxy.ts";

/** Columns of version 1 of the format, by their names in the proxy's manual. */
const columns = [
  ...["be_id", "be_name", "srv_id", "srv_name", "srv_addr", "srv_op_state", "srv_admin_state"],
  ...["srv_uweight", "srv_iweight", "srv_time_since_last_change", "srv_check_status"],
  ...["srv_check_result", "srv_check_health", "srv_check_state", "srv_agent_state"],
  ...["bk_f_forced_id", "srv_f_forced_id", "srv_fqdn", "srv_port", "srvrecord", "srv_use_ssl"],
  ...["srv_check_port", "srv_check_addr", "srv_agent_addr", "srv_agent_port"],
];

/** Enabled, probed, and down: what a target is until enough probes have succeeded. */
const unproven: Readonly<Record<string, string>> = {
  ...{ be_id: "0", srv_id: "0", srv_op_state: "0", srv_admin_state: "0" },
  ...{ srv_uweight: "1", srv_iweight: "1", srv_time_since_last_change: "0" },
  ...{ srv_check_status: "1", srv_check_result: "1", srv_check_health: "0", srv_check_state: "6" },
  ...{ srv_agent_state: "0", bk_f_forced_id: "0", srv_f_forced_id: "0", srv_use_ssl: "0" },
  ...{ srv_agent_port: "0" },
};

/**
 * What a new configuration of the proxy begins with. Left alone, the proxy takes every target for healthy until probes have failed: a
 * new one, and after any change of the configuration also those that are known to be dead. A network load balancer remembers, and sends
 * nobody to a target that was not found healthy.
 *
 * @param known the proxy's answer to "show servers state", or nothing
 */
export function renderServerStates(vpc: Vpc, known: string): string {
  const rows = new Map(
    known.split("\n").map((line) => {
      const [, section = "", , server = ""] = line.split(" ");
      return [`${section} ${server}`, line];
    }),
  );
  const wanted = vpc.balancers.flatMap((balancer) =>
    balancer.addresses.flatMap(({ address }) =>
      balancer.listeners.flatMap(({ port, targetGroup }) =>
        targetGroup.targets.map((target) => {
          const section = sectionName(targetGroup.arn, address, port);
          const server = `${target.address}:${target.port}`;
          const row: Readonly<Record<string, string>> = {
            ...unproven,
            ...{ be_name: section, srv_name: server, srv_addr: target.address },
            ...{
              srv_port: String(target.port),
              srv_check_port: String(targetGroup.healthCheck.port),
            },
          };
          return (
            rows.get(`${section} ${server}`) ?? columns.map((name) => row[name] ?? "-").join(" ")
          );
        }),
      ),
    ),
  );
  return ["1", `# ${columns.join(" ")}`, ...wanted, ""].join("\n");
}
