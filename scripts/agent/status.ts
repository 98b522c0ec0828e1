import { volumeInUse } from "./disk";
import { throughEndpoint, type EtcdEndpoint } from "./etcd";
import { readIfThere } from "./files";
import { approvedState, thisMachine } from "./machine";
import { instanceId } from "./imds";
import { paths } from "./paths";
import { reasonOf } from "./say";
import { etcdState } from "./service";
import { announced } from "./state";
import { readUpkeepState } from "./upkeepState";

/** Facts about this machine and its member, whatever state they are in. What cannot be told is absent or says why. */
export async function status(): Promise<Record<string, unknown>> {
  const machine = await thisMachine();
  const { config } = await approvedState(machine);
  const [instance, agent, service, applied, volume, upkeep, etcd] = await Promise.all([
    instanceId().catch(() => undefined),
    announced(),
    etcdState(),
    readIfThere(paths.applied),
    volumeInUse(),
    readUpkeepState(),
    etcdFacts(config.address),
  ]);
  return {
    name: config.member,
    zone: config.zone,
    address: config.address,
    instanceId: instance,
    volumeId: volume ?? config.volume.id,
    agent,
    service,
    configSha256: applied?.trim(),
    ...(upkeep.at === 0 ? {} : { upkeep }),
    ...etcd,
  };
}

async function etcdFacts(address: string): Promise<Record<string, unknown>> {
  try {
    return await throughEndpoint(address, 2000, factsFrom);
  } catch (error) {
    return { health: `etcd does not answer: ${reasonOf(error)}` };
  }
}

async function factsFrom(endpoint: EtcdEndpoint): Promise<Record<string, unknown>> {
  const facts = await endpoint.status();
  const role = facts.isLearner ? "learner" : facts.leader === facts.id ? "leader" : "follower";
  const health = await endpoint.linearizableRead().then(
    () => (facts.errors.length === 0 ? "healthy" : facts.errors.join("; ")),
    (error: unknown) => `no quorum: ${reasonOf(error)}`,
  );
  return {
    memberId: facts.id,
    clusterId: facts.clusterId,
    role: facts.leader === undefined && !facts.isLearner ? "no leader" : role,
    version: facts.version,
    revision: Number(facts.revision),
    dbSizeBytes: facts.dbSizeBytes,
    health,
  };
}
