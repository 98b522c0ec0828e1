import type { MemberConfig } from "../../components/plan/memberConfig";
import { agentTls, throughEndpoint, type ClientTls, type EtcdEndpoint } from "./etcd";
import { clusterVersion } from "./etcdctl";
import { readIfThere } from "./files";
import { namedEntries } from "./listed";
import { markerSchema } from "./marker";
import { paths } from "./paths";
import type { ClusterRecord } from "./record";
import { reasonOf } from "./say";
import type { Change, TurnFacts, Voice } from "./turn";

/** Milliseconds for one call. */
const callMs = 3000;

/** Gathers what a member's turn depends on: everybody in the roster is asked, at the same time. */
export async function turnFacts(
  config: MemberConfig,
  record: ClusterRecord,
  change: Change,
  running: boolean,
): Promise<TurnFacts> {
  const tls = await agentTls();
  const [list, voices, generation, cluster] = await Promise.all([
    running ? listed(config, record, tls) : { failure: "etcd does not run here" },
    Promise.all(
      record.roster.map(async ({ name, address }) => [name, await voice(address, tls)] as const),
    ),
    ownGeneration(),
    running && change.version.from !== change.version.to ? versions() : undefined,
  ]);
  return {
    member: config.member,
    ...{ change, running, record, generation, list, cluster },
    voices: new Map(voices),
  };
}

async function ownGeneration(): Promise<number | undefined> {
  const text = await readIfThere(paths.marker);
  return text === undefined ? undefined : markerSchema.parse(JSON.parse(text)).generation;
}

/** While an election is on, etcd says nothing of its version; then there is nothing to decide either. */
async function versions(): Promise<TurnFacts["cluster"]> {
  try {
    return await clusterVersion();
  } catch {
    return undefined;
  }
}

async function through<T>(
  address: string,
  tls: ClientTls,
  ask: (endpoint: EtcdEndpoint) => Promise<T>,
): Promise<T | { failure: string }> {
  try {
    return await throughEndpoint(address, callMs, ask, tls);
  } catch (error) {
    return { failure: reasonOf(error) };
  }
}

async function listed(
  config: MemberConfig,
  record: ClusterRecord,
  tls: ClientTls,
): Promise<TurnFacts["list"]> {
  const list = await through(config.address, tls, (endpoint) => endpoint.memberList());
  return "failure" in list ? list : namedEntries(list.members, record.roster);
}

async function voice(address: string, tls: ClientTls): Promise<Voice | { failure: string }> {
  return through(address, tls, async (endpoint) => {
    await endpoint.linearizableRead();
    const [status, alarms] = await Promise.all([endpoint.status(), endpoint.alarms()]);
    const { id, clusterId, version, leader, isLearner } = status;
    return {
      ...{ id, clusterId, version, leader, isLearner, alarms },
      committed: status.raftIndex,
      applied: status.raftAppliedIndex,
    };
  });
}
