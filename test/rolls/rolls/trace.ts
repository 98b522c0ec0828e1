import { etcdPid } from "../../../lab/cli/fault/actions.ts";
import { etcdctl, on } from "../../faults/harness/machine.ts";
import type { Member } from "../../../lab/cli/fault/members.ts";
import type { RollStack } from "../harness/stack.ts";

/** What a turn would leave at a member: another process, another pointer, another machine. */
export interface Trace {
  readonly etcd: number | undefined;
  readonly approved: string;
  readonly machine: string | undefined;
}

/** The traces of all members, by name. What nothing was done to has the same one as before. */
export async function traces({ cluster }: RollStack): Promise<Record<string, Trace>> {
  const bucket = cluster.bucketView();
  const all = (await cluster.members()).map(async (member): Promise<[string, Trace]> => {
    const approved = await bucket.text(`config/${member.name}/approved`);
    const machine = member.machine?.instanceId;
    return [member.name, { etcd: etcdPid(member), approved: approved.trim(), machine }];
  });
  return Object.fromEntries(await Promise.all(all));
}

/** The version of the etcd that a member's machine would start now; empty while there is no machine with one. */
export async function installed(member: Member): Promise<string> {
  try {
    const { stdout } = await on(member, ["readlink", "/opt/etcd-cluster/etcd/current"]);
    return stdout.trim();
  } catch {
    return "";
  }
}

/** The version of the etcd that runs on a member's machine, as it says itself. */
export async function running(member: Member): Promise<string> {
  const text = await etcdctl(member, "endpoint", "status", "--write-out=json");
  const [answer] = JSON.parse(text) as { Status: { version: string } }[];
  return answer?.Status.version ?? "";
}
