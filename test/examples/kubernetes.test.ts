import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { join } from "node:path";
import { labMachines } from "../../lab/cli/fault/members.ts";
import { defaultEtcd, ensureEtcd, etcdPrograms } from "../../lab/toolchain/artifacts.ts";
import { run, shellBlocks, source, type Outcome } from "../lab/support.ts";
import { example } from "./harness/example.ts";

/** Process 1 of a machine that is no member and bears the clients' security group: the bastion, which alone has a public address. */
async function clientMachine(): Promise<number> {
  const machines = await labMachines();
  const bastion = machines.find(({ publicAddress }) => publicAddress !== undefined);
  assert.ok(bastion?.leaderPid !== undefined, JSON.stringify(machines));
  return bastion.leaderPid;
}

/** What kube-apiserver would do with its flags and files, done by etcdctl with these and nothing else. */
example("kubernetes", async (stack) => {
  const [block = ""] = shellBlocks(source("examples/kubernetes/README.md"));
  const { stdout } = await stack.shell(block);
  const flags = Object.fromEntries(
    (JSON.parse(stdout) as string[]).map((flag): [string, string] => {
      const [name = "", value = ""] = flag.split(/=(.*)/s);
      return [name, value];
    }),
  );
  const file = (flag: string): string => {
    const path = flags[flag] ?? "";
    assert.match(path, /^\/etc\/kubernetes\/pki\//, flag);
    return join(stack.folder, "pki", path.slice("/etc/kubernetes/pki/".length));
  };
  const files = {
    "--cacert": file("--etcd-cafile"),
    "--cert": file("--etcd-certfile"),
    "--key": file("--etcd-keyfile"),
  };
  for (const path of Object.values(files)) assert.equal(statSync(path).mode & 0o777, 0o600, path);

  const programs = etcdPrograms(await ensureEtcd(defaultEtcd, () => undefined), defaultEtcd);
  const pid = await clientMachine();
  const etcdctl = async (servers: string, ...args: string[]): Promise<Outcome> =>
    run(
      "nsenter",
      [
        ...["-t", String(pid), "-n", "--", join(programs, "etcdctl"), "--endpoints", servers],
        ...Object.entries(files).flat(),
        ...args,
      ],
      { timeoutSeconds: 30 },
    );
  const does = async (servers: string, ...args: string[]): Promise<string> => {
    const outcome = await etcdctl(servers, ...args);
    assert.equal(outcome.code, 0, `${servers} ${args.join(" ")}: ${outcome.stderr}`);
    return outcome.stdout.trim();
  };

  const all = flags["--etcd-servers"] ?? "";
  const servers = all.split(",");
  assert.equal(servers.length, 3);
  const key = (name: string): string => `${flags["--etcd-prefix"] ?? ""}/${name}`;
  await does(all, "put", key("configmaps/default/one"), "1");
  for (const server of servers) {
    const value = ["get", key("configmaps/default/one"), "--print-value-only"];
    assert.equal(await does(server, ...value), "1", server);
    // What the API server's own health check reads.
    assert.equal(await does(server, "get", key("health")), "", server);
  }
  // API servers agree by this key, which is not below the prefix, on who compacts.
  await does(all, "put", "compact_rev_key", "2");
  assert.match(await does(all, "compaction", "2"), /compacted revision 2/);
});
