import { until } from "./deadline";
import { agentTls } from "./etcd";
import { approvedState, thisMachine } from "./machine";
import { readRecord } from "./record";
import { verifyOnce, type Verified } from "./verify";

/** Verifies this machine's member, again and again until it is healthy or the time is up. */
export async function verifyMember(timeoutSeconds: number): Promise<Verified> {
  const machine = await thisMachine();
  const { config } = await approvedState(machine);
  const view = await readRecord(machine.bucket);
  // The bucket is not needed for health: without the record, the configured members are who must be there.
  const roster = view.kind === "present" ? view.record.roster : config.initialMembers;
  const tls = await agentTls();
  const target = { member: config.member, roster, tls, access: config.access.enabled };
  return until(timeoutSeconds, () => verifyOnce(target), {
    pauseMs: 1000,
  });
}
