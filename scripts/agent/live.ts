import type { MemberConfig } from "../../components/plan/memberConfig";
import type { Log } from "./damage";
import { agentTls, EtcdEndpoint, type Alarm, type MemberList, type MemberStatus } from "./etcd";
import type { Live } from "./facts";
import type { RosterMember } from "./judge";
import type { Disk } from "./marker";
import { confirmedByOthers, othersAgree } from "./others";
import { someoneAnswers } from "./reach";
import { isFirstStart } from "./plan";
import type { RecordView } from "./record";
import { reasonOf, say } from "./say";
import type { Service } from "./service";

/** Milliseconds for a call to this machine's own etcd. */
const ownMs = 3000;

/** Milliseconds between two looks at the alarms. */
const alarmsMs = 10_000;

/** What is known when etcd is asked. */
export interface Surroundings {
  readonly config: MemberConfig;
  /** The volume that this machine uses. */
  readonly volumeId: string;
  /** SHA-256 of sources that this process found to be something else. */
  readonly unreadable: readonly string[];
  readonly disk: Disk;
  readonly record: RecordView;
  readonly service: Service;
  /** Whether etcd runs with the approved settings, or is on its way. */
  readonly running: boolean;
  readonly log: Log;
}

/** The facts, and what else came to light. */
export interface LiveView {
  readonly facts: Live;
  /** Of this machine's own etcd, when it answers. */
  readonly status?: MemberStatus;
  /** etcd's CORRUPT alarm names this member. */
  readonly corrupt: boolean;
}

/** Asks etcd, here and elsewhere, whatever a decision may need, and remembers when there last was a quorum. */
export class LiveObserver {
  #own: EtcdEndpoint | undefined;
  /** When there last was a quorum, or etcd was started: it has the whole time to find one. */
  #quorumSeen = performance.now();
  #wasRunning = false;
  #alarmsSeen = -Infinity;
  #alarms: readonly Alarm[] = [];

  /** One look. */
  async look(around: Surroundings): Promise<LiveView> {
    const { config, record, service, running, disk } = around;
    const own = running && service.state === "active" ? await this.#askOwn(config) : {};
    const { status, list } = own;
    const others = await this.#askOthers(around, status);
    const quorum = (list ?? others) !== undefined;
    if (quorum || (running && !this.#wasRunning)) {
      this.#quorumSeen = performance.now();
    }
    this.#wasRunning = running;
    const roster = rosterOf(config, record);
    const corrupt =
      status !== undefined && list !== undefined && (await this.#corrupt(status, list));
    const damaged = disk.kind === "data" && (disk.damage !== undefined || corrupt);
    const confirmed = list ?? others;
    return {
      corrupt,
      ...(status === undefined ? {} : { status }),
      facts: {
        running,
        quorum,
        withoutQuorumSeconds: (performance.now() - this.#quorumSeen) / 1000,
        someoneAnswers:
          record.kind === "absent" && disk.kind !== "data"
            ? await someoneAnswers(roster.map(({ address }) => address))
            : false,
        learner: status?.isLearner ?? false,
        removed: await isRemoved(around, others),
        othersAgree:
          damaged && confirmed !== undefined
            ? await othersAgree(config.member, roster, confirmed, await agentTls())
            : false,
      },
    };
  }

  async #askOwn(config: MemberConfig): Promise<{ status?: MemberStatus; list?: MemberList }> {
    try {
      this.#own ??= new EtcdEndpoint(config.address, await agentTls(), ownMs);
      const status = await this.#own.status();
      // Without a leader there is no quorum to be asked, and waiting for one takes its time.
      const list = status.leader === undefined ? undefined : await this.#ownList(this.#own);
      return { status, ...(list === undefined ? {} : { list }) };
    } catch (error) {
      say(`etcd runs and does not answer: ${reasonOf(error)}`);
      // A new client next time: the certificate may have been exchanged.
      this.#own?.close();
      this.#own = undefined;
      return {};
    }
  }

  async #ownList(own: EtcdEndpoint): Promise<MemberList | undefined> {
    try {
      return await own.memberList();
    } catch {
      return undefined;
    }
  }

  /** Others are asked when this machine's etcd cannot tell: it does not run, is not ready, or has no vote yet. */
  async #askOthers(
    { config, volumeId, unreadable, disk, record, service, running }: Surroundings,
    status: MemberStatus | undefined,
  ): Promise<MemberList | undefined> {
    if (record.kind !== "present") {
      return undefined;
    }
    const wanted = running
      ? service.state !== "active" || status?.isLearner === true
      : disk.kind === "blank"
        ? record.record.phase === "rollCall" ||
          !isFirstStart({ member: config.member, volumeId }, disk, record.record, unreadable)
        : disk.kind === "data" && disk.damage !== undefined;
    const others = record.record.roster.filter(({ name }) => name !== config.member);
    return wanted
      ? confirmedByOthers(
          others.map(({ address }) => address),
          await agentTls(),
        )
      : undefined;
  }

  /** Alarms are looked at now and then. Those of ids that are not members came in a snapshot, or with a member that is gone. */
  async #corrupt(status: MemberStatus, { members }: MemberList): Promise<boolean> {
    if (this.#own !== undefined && performance.now() - this.#alarmsSeen > alarmsMs) {
      try {
        this.#alarms = await this.#own.alarms();
        this.#alarmsSeen = performance.now();
        for (const alarm of this.#alarms) {
          if (status.leader === status.id && !members.some(({ id }) => id === alarm.memberId)) {
            await this.#own.disarm(alarm);
            say(`disarmed ${alarm.kind} of ${alarm.memberId}, which is not a member`);
          }
        }
      } catch (error) {
        say(`alarms cannot be looked at: ${reasonOf(error)}`);
      }
    }
    return this.#alarms.some(({ memberId, kind }) => memberId === status.id && kind === "Corrupt");
  }
}

/** Who must be accounted for; without a record, the configured first members. */
export function rosterOf(config: MemberConfig, record: RecordView): readonly RosterMember[] {
  return record.kind === "present" ? record.record.roster : config.initialMembers;
}

/**
 * An id that a quorum's list lacks never comes back, nor one whose own log says, up to its commit index, that it was removed. Asked only
 * when etcd does not become ready with data that is there.
 */
async function isRemoved(
  { disk, service, log }: Surroundings,
  list: MemberList | undefined,
): Promise<boolean> {
  if (disk.kind !== "data" || service.state === "active") {
    return false;
  }
  const facts = await log.facts();
  const id = facts?.memberId;
  if (facts === undefined || id === undefined) {
    return false;
  }
  const { removed, clusterId } = facts;
  return (
    removed ||
    (list !== undefined &&
      list.clusterId === clusterId &&
      !list.members.some((member) => member.id === id))
  );
}
