import { canonicalJson } from "../../components/plan/canonicalJson";
import type { MemberConfig } from "../../components/plan/memberConfig";
import { installArtifacts } from "./artifacts";
import { takeBackup } from "./backup";
import { Refusal, until } from "./deadline";
import { etcdEnvironmentFile } from "./environment";
import { agentTls, EtcdEndpoint, type MemberStatus } from "./etcd";
import { readIfThere, writeDurably } from "./files";
import { withLock } from "./lock";
import { approve, desiredState, thisMachine, type Desired, type Machine } from "./machine";
import { paths } from "./paths";
import { must } from "./run";
import { readRecord, type ClusterRecord } from "./record";
import { reasonOf, say } from "./say";
import { installPki } from "./secrets";
import { etcdState, restartEtcd } from "./service";
import { announcedInWords } from "./state";
import { successor } from "./successor";

/** What bootstrap prints. */
export interface Bootstrapped {
  readonly member: string;
  readonly id: string;
  readonly clusterId: string;
  readonly role: "leader" | "follower";
  readonly version: string;
  readonly configSha256: string;
  readonly changed: boolean;
}

/**
 * Brings this member to a desired state and waits until it is part of a cluster with quorum. If it is there already, nothing
 * changes. It waits for a quorum, not for every member: what comes later in Pulumi's order must not be waited for.
 */
export async function bootstrap(sha256: string, timeoutSeconds: number): Promise<Bootstrapped> {
  const machine = await until(timeoutSeconds, thisMachine);
  const desired = await until(timeoutSeconds, () => desiredState(machine, sha256));
  const end = performance.now() + timeoutSeconds * 1000;
  const left = (): number => Math.max(0, (end - performance.now()) / 1000);
  let said = "";
  const sayOnce = (reason: string): void => {
    if (reason !== said) {
      said = reason;
      say(reason);
    }
  };
  let changed = false;
  if ((await applied()) !== sha256) {
    await until(left(), () => withLock(() => converge(machine, desired), lockSeconds), {
      onFailure: sayOnce,
    });
    changed = true;
  }
  const status = await until(left(), () => inQuorum(desired.config), { onFailure: sayOnce });
  return {
    member: machine.member,
    id: status.id,
    clusterId: status.clusterId,
    role: status.leader === status.id ? "leader" : "follower",
    version: status.version,
    configSha256: sha256,
    changed,
  };
}

/** Longer than a round of the boot loop, which waits for a device. */
const lockSeconds = 60;

async function applied(): Promise<string | undefined> {
  return (await readIfThere(paths.applied))?.trim();
}

/** The member answers, a quorum confirms its list, and it has a vote. Throws the reason why not yet. */
async function inQuorum(config: MemberConfig): Promise<MemberStatus> {
  let endpoint: EtcdEndpoint | undefined;
  try {
    endpoint = new EtcdEndpoint(config.address, await agentTls(), 3000);
    const status = await endpoint.status();
    await endpoint.linearizableRead();
    if (status.isLearner) {
      throw new Error("it is a learner until it has caught up");
    }
    return status;
  } catch (error) {
    throw new Error(
      `${config.member}: no quorum yet: ${reasonOf(error)}; the agent: ${await announcedInWords()}`,
      { cause: error },
    );
  } finally {
    endpoint?.close();
  }
}

/** Applies a desired state that differs from the applied one. */
async function converge(machine: Machine, desired: Desired): Promise<void> {
  const before = await applied();
  if (before === desired.sha256) {
    return;
  }
  if (before === undefined || (await etcdState()) !== "active") {
    // Its own etcd is down: the new state may be the repair, and nobody's quorum gets worse by it. The boot loop applies it.
    if ((await readIfThere(paths.approved))?.trim() !== desired.sha256) {
      await approve(machine, desired.sha256);
    }
    throw new Error(
      `${machine.member}: is approved, the agent applies it: ${await announcedInWords()}`,
    );
  }
  const { config: old } = await desiredState(machine, before);
  refuseOtherIdentity(old, desired.config, (await readIfThere(paths.volume))?.trim());
  const view = await readRecord(machine.bucket);
  if (view.kind !== "present") {
    throw new Error(view.kind === "absent" ? "there is no cluster record" : view.reason);
  }
  const restart =
    canonicalJson([old.etcd, old.artifacts.etcd]) !==
    canonicalJson([desired.config.etcd, desired.config.artifacts.etcd]);
  if (restart) {
    await othersAreHealthy(desired.config, view.record);
  }
  if (old.artifacts.etcd.version !== desired.config.artifacts.etcd.version) {
    // What another version writes, this one may not be able to read again.
    await takeBackup(machine, "planned");
  }
  await approve(machine, desired.sha256);
  await installArtifacts(machine, desired.config);
  await installPki(machine.clients, desired.config);
  await writeDurably(
    paths.etcdEnvironment,
    etcdEnvironmentFile(desired.config, view.record, "existing"),
  );
  if (restart) {
    await handOver(desired.config, view.record);
    await restartEtcd();
  }
  await writeDurably(paths.applied, `${desired.sha256}\n`);
  if (old.artifacts.agent.sha256 !== desired.config.artifacts.agent.sha256) {
    await must("systemctl", ["restart", "--no-block", "agent-boot.service"]);
  }
}

/** Identity outlives desired states: another address or volume is another member, or another operation than this one. */
function refuseOtherIdentity(
  old: MemberConfig,
  desired: MemberConfig,
  usedVolume: string | undefined,
): void {
  for (const field of ["cluster", "region", "bucket", "member", "zone", "address"] as const) {
    if (old[field] !== desired[field]) {
      throw new Refusal(
        `${old.member}: its ${field} cannot change from ${old[field]} to ${desired[field]}`,
      );
    }
  }
  // The one in use may be another than the configured one already: what replaces a lost volume is configured afterwards.
  const used = usedVolume ?? old.volume.id;
  if (desired.volume.id !== old.volume.id && desired.volume.id !== used) {
    throw new Refusal(
      `${old.member}: its volume ${used} is in use; it is exchanged for ${desired.volume.id} only when etcd is down`,
    );
  }
}

async function othersAreHealthy(config: MemberConfig, record: ClusterRecord): Promise<void> {
  const tls = await agentTls();
  for (const { name, address } of record.roster) {
    if (name === config.member) {
      continue;
    }
    const endpoint = new EtcdEndpoint(address, tls, 3000);
    try {
      await endpoint.linearizableRead();
      const [alarm] = await endpoint.alarms();
      if (alarm !== undefined) {
        throw new Error(`alarm ${alarm.kind}`);
      }
    } catch (error) {
      throw new Error(
        `${config.member}: may not restart while ${name} is not healthy: ${reasonOf(error)}`,
        { cause: error },
      );
    } finally {
      endpoint.close();
    }
  }
}

async function handOver(config: MemberConfig, record: ClusterRecord): Promise<void> {
  const endpoint = new EtcdEndpoint(config.address, await agentTls(), 3000);
  try {
    const status = await endpoint.status();
    const to = successor(config.member, record.roster, await endpoint.members());
    if (status.leader === status.id && to !== undefined) {
      await endpoint.moveLeader(to);
    }
  } catch (error) {
    // etcd tries the same by itself when it stops.
    say(`leadership was not handed over beforehand: ${reasonOf(error)}`);
  } finally {
    endpoint.close();
  }
}
