import { pkiFiles } from "./lib/machine.ts";
import { main, options, splitOwn } from "./lib/main.ts";
import { remoteCommand, Way } from "./lib/ssh.ts";
import { memberNamed, readStack } from "./lib/stack.ts";

const usage = `etcdctl.ts [--member m1] [--] ETCDCTL-ARGUMENTS
Runs etcdctl on a member (the first that can be reached, unless one is named) with that member's agent certificate,
against all members unless the arguments name endpoints. Input and output are this terminal's.`;

/**
 * The arguments that the caller did not give himself. (Not as ETCDCTL_ variables: etcdctl refuses a setting that comes both ways.
 * Not always: `--endpoints` given twice is a list of both.)
 */
export function completed(args: readonly string[], addresses: readonly string[]): string[] {
  const defaults = {
    "--endpoints": addresses.map((address) => `https://${address}:2379`).join(","),
    "--cacert": pkiFiles.clientCa,
    "--cert": pkiFiles.agentCertificate,
    "--key": pkiFiles.agentKey,
  };
  const missing = Object.entries(defaults).filter(
    ([name]) => !args.some((word) => word === name || word.startsWith(`${name}=`)),
  );
  return [...missing.map(([name, value]) => `${name}=${value}`), ...args];
}

/** The script. */
async function etcdctl(): Promise<number> {
  const { own, rest } = splitOwn(process.argv.slice(2), ["--member"], ["--help"]);
  const { values } = options(
    usage,
    { member: { type: "string" }, help: { type: "boolean" } } as const,
    own,
  );
  if (values.help === true || rest.length === 0) {
    process.stdout.write(`${usage}\n`);
    return values.help === true ? 0 : 2;
  }
  const stack = await readStack();
  const way = new Way(stack);
  const candidates =
    values.member === undefined
      ? stack.members.map(({ name }) => name)
      : [memberNamed(stack, values.member).name];
  const host = await way.reachable(candidates);
  const program = `/opt/etcd-cluster/etcd/${stack.etcdVersion}/etcdctl`;
  const args = completed(
    rest,
    stack.members.map(({ address }) => address),
  );
  return way.become(host, remoteCommand([program, ...args], { root: true }));
}

if (import.meta.main) await main("etcdctl", etcdctl);
