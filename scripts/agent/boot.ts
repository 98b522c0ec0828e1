import { rm } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

import type { MemberConfig } from "../../components/plan/memberConfig";
import { installArtifacts } from "./artifacts";
import { inspect, makeDataDirectory, prepareBlank, writeIntent, writeMarker } from "./disk";
import { etcdEnvironmentFile, type StartAs } from "./environment";
import { agentTls } from "./etcd";
import { readIfThere, writeDurably } from "./files";
import { lazily } from "./lazily";
import { withLock } from "./lock";
import { approvedState, thisMachine, type Desired, type Machine } from "./machine";
import type { Disk } from "./marker";
import { instanceId as askInstanceId } from "./imds";
import { paths } from "./paths";
import type { Action, Facts } from "./facts";
import { plan } from "./plan";
import { quorumAnswers, someoneAnswers } from "./reach";
import {
  createRecord,
  join,
  readRecord,
  type ClusterRecord,
  type RecordView,
  type Starting,
} from "./record";
import { replaceByLearner } from "./learner";
import { reasonOf, say } from "./say";
import { installPki, openSsh } from "./secrets";
import { etcdState, startEtcd } from "./service";
import { announce } from "./state";
import { attach } from "./volume";
import { Watch } from "./watch";

/** Seconds between two looks at a machine that waits: close ones at first, when a volume is on its way, then fewer. */
const waitSeconds = (waited: number): number => (waited < 120 ? 0.5 : 5);

/** A bootstrap may hold the lock for as long as etcd takes to stop and start. */
const lockSeconds = 300;

/** Seconds between two looks at one that runs. */
const watchSeconds = 5;

/**
 * What agent-boot.service runs for as long as the machine lives: brings the member up, whatever that takes, then watches it. Every
 * round takes the lock, gathers the facts anew, decides, acts, and lets the lock go.
 */
export async function bootLoop(): Promise<never> {
  const machine = await thisMachine();
  const boot = new Boot(machine);
  const watch = new Watch(machine);
  await announce({ state: "starting" });
  let waited = 0;
  for (;;) {
    waited += 1;
    try {
      await withLock(async () => {
        if (await isUp()) {
          await boot.openSshOnce();
          waited = (await watch.round()) ? 0 : waited;
        } else {
          await boot.round();
        }
      }, lockSeconds);
    } catch (error) {
      await announce({ state: "failing", reason: reasonOf(error) });
    }
    await sleep(1000 * (waited === 0 ? watchSeconds : waitSeconds(waited)));
  }
}

/**
 * Whether etcd runs, or is on its way with the approved settings. One that does not come up with older settings is looked at anew:
 * the approved ones may be the repair.
 */
async function isUp(): Promise<boolean> {
  const [permit, approved, applied] = await Promise.all(
    [paths.permit, paths.approved, paths.applied].map(readIfThere),
  );
  const state = permit === undefined ? "inactive" : await etcdState();
  return state === "active" || (state === "activating" && applied === approved);
}

const startingOf = ({ member, volume }: MemberConfig): Starting => ({
  name: member,
  volumeId: volume.id,
});

/** The way from a machine that has just started to a running etcd. */
class Boot {
  readonly #machine: Machine;
  readonly #instanceId = lazily(askInstanceId);
  #sshIsOpen = false;
  /** Desired state whose keys were fetched: a machine that waits must not ask the parameter store every second. */
  #keysOf: string | undefined;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** The way in for people comes before everything that may take long or fail. */
  async openSshOnce(desired?: Desired): Promise<void> {
    if (this.#sshIsOpen) {
      return;
    }
    try {
      const { config } = desired ?? (await approvedState(this.#machine));
      await openSsh(this.#machine.clients, config.parameters.sshHostKey);
      this.#sshIsOpen = true;
    } catch (error) {
      // After a reboot the key is there and sshd runs; and etcd does not wait for people.
      say(`the SSH host key cannot be fetched: ${reasonOf(error)}`);
    }
  }

  /** Gathers, decides, acts. */
  async round(): Promise<void> {
    const desired = await approvedState(this.#machine);
    await this.openSshOnce(desired);
    const { config } = desired;
    // Independent of the disk, and slow enough to matter: both at once.
    const [disk, record] = await Promise.all([
      this.#disk(config),
      readRecord(this.#machine.bucket),
      this.#keys(desired),
    ]);
    const action = plan(await this.#facts(config, disk, record));
    await this.#act(action, desired);
  }

  async #keys({ config, sha256 }: Desired): Promise<void> {
    if (this.#keysOf === sha256) {
      return;
    }
    try {
      await installPki(this.#machine.clients, config);
      this.#keysOf = sha256;
    } catch (error) {
      // Those that are there already are good enough to start with.
      if ((await readIfThere(paths.etcdEnvironment)) === undefined) {
        throw error;
      }
    }
  }

  async #disk(config: MemberConfig): Promise<Disk> {
    const reason = await attach(this.#machine.clients, config, await this.#instanceId());
    return reason === undefined ? inspect(config) : { kind: "notAttachable", reason };
  }

  async #facts(config: MemberConfig, disk: Disk, record: RecordView): Promise<Facts> {
    const { member, volume, initialMembers } = config;
    const roster = record.kind === "present" ? record.record.roster : initialMembers;
    const others = roster.filter(({ name }) => name !== member).map(({ address }) => address);
    return {
      self: {
        member,
        volumeId: volume.id,
        instanceId: await this.#instanceId(),
        firstMember: initialMembers.some(
          ({ name, volumeId }) => name === member && volumeId === volume.id,
        ),
        recovery: config.recovery.mode,
        quorumLossSeconds: config.recovery.quorumLossSeconds,
      },
      disk,
      record,
      live: {
        running: false,
        quorum:
          record.kind === "present" &&
          disk.kind === "blank" &&
          record.record.joined.includes(member)
            ? await quorumAnswers(others, await agentTls())
            : false,
        withoutQuorumSeconds: 0,
        someoneAnswers:
          record.kind === "absent" && disk.kind === "blank"
            ? await someoneAnswers(roster.map(({ address }) => address))
            : false,
        learner: false,
        removed: false,
        othersAgree: false,
      },
      roll: {
        reports: [],
        attestations: [],
        previous: [],
        backups: [],
        unreadable: [],
        stalledSeconds: 0,
      },
    };
  }

  async #act(action: Action, desired: Desired): Promise<void> {
    const { config } = desired;
    switch (action.kind) {
      case "createRecord":
        await createRecord(this.#machine.bucket, config);
        return;
      case "formFirst":
        await this.#formFirst(action.record, desired);
        return;
      case "rejoin":
        await this.#rejoin(action.record, desired);
        return;
      case "start":
        await this.#start(action, desired);
        return;
      case "wait":
        await announce({
          state: "waiting",
          wait: action.name,
          reason: `waits for ${action.needs}`,
        });
        return;
      case "refuse":
        await announce({ state: "refused", reason: action.reason });
        return;
      default:
        await announce({ state: "waiting", reason: `${action.kind} is not acted upon yet` });
    }
  }

  async #formFirst(record: ClusterRecord, desired: Desired): Promise<void> {
    const { config } = desired;
    const identity = {
      clusterUid: record.clusterUid,
      member: config.member,
      volumeId: config.volume.id,
      generation: record.generation,
    };
    await prepareBlank(config);
    await writeIntent(identity);
    const joined = await join(this.#machine.bucket, startingOf(config), record.generation);
    await writeMarker({ ...identity, instanceId: await this.#instanceId() });
    await this.#letGo(desired, joined, "new");
  }

  /**
   * No intent here: until the old entry is gone, whoever finds this volume must not take its emptiness for a first start. A marker
   * without a log says the same as lost data, and leads back here.
   */
  async #rejoin(record: ClusterRecord, desired: Desired): Promise<void> {
    const { config } = desired;
    await prepareBlank(config);
    await makeDataDirectory();
    await writeMarker({
      clusterUid: record.clusterUid,
      member: config.member,
      volumeId: config.volume.id,
      generation: record.generation,
      instanceId: await this.#instanceId(),
    });
    const current = await join(this.#machine.bucket, startingOf(config), record.generation);
    await announce({ state: "starting", reason: "re-joins as a learner: its data is gone" });
    await replaceByLearner(config, current.roster, await agentTls());
    await this.#letGo(desired, current, "existing");
  }

  async #start(action: Extract<Action, { kind: "start" }>, desired: Desired): Promise<void> {
    const { record, marker } = action;
    if (record === undefined) {
      if ((await readIfThere(paths.etcdEnvironment)) === undefined) {
        throw new Error(
          "etcd's settings are not on this machine yet, and the bucket cannot be asked",
        );
      }
      await announce({ state: "starting", reason: "without the cluster record" });
      await startEtcd();
      return;
    }
    const member = startingOf(desired.config);
    const current = await join(this.#machine.bucket, member, record.generation);
    await writeMarker({ ...marker, instanceId: await this.#instanceId() });
    // The plan let it start only because the record's epoch is past the one it was held for.
    await rm(paths.held, { force: true });
    await this.#letGo(desired, current, "existing");
  }

  async #letGo(desired: Desired, record: ClusterRecord, startAs: StartAs): Promise<void> {
    await installArtifacts(this.#machine, desired.config);
    const environment = etcdEnvironmentFile(desired.config, record, startAs);
    await writeDurably(paths.etcdEnvironment, environment);
    await writeDurably(paths.applied, `${desired.sha256}\n`);
    await announce({ state: "starting", reason: `etcd, generation ${record.generation}` });
    await startEtcd();
  }
}
