import { X509Certificate } from "node:crypto";

import type { MemberConfig } from "../../components/plan/memberConfig";
import type { Backup } from "./backupKey";
import { quotaOf } from "./backupSnapshot";
import { newestBackup } from "./backupStore";
import { drillKey, drillOk, parseDrillResult, type DrillResult } from "./drillResult";
import { throughEndpoint, type Alarm, type ClientTls, type MemberStatus } from "./etcd";
import { readIfThere } from "./files";
import type { Machine } from "./machine";
import { markerSchema, type Marker } from "./marker";
import type { MetricFacts } from "./metrics";
import { ratesBetween, readCounters, type EtcdCounters } from "./metricsEtcd";
import { paths } from "./paths";
import { readRecord, type RecordView } from "./record";
import { reasonOf } from "./say";
import { announced, type AgentState } from "./state";

/** Milliseconds for one question to a member. */
const askMs = 3000;

/** A member of the roster, as seen from here. */
export interface SeenMember {
  readonly name: string;
  readonly address: string;
  /** Undefined when it does not answer. */
  readonly status: MemberStatus | undefined;
  /** It answers a linearizable read. */
  readonly healthy: boolean;
}

/** Everything that one run of upkeep decides on. What could not be found out is undefined. */
export interface UpkeepView {
  readonly machine: Machine;
  readonly config: MemberConfig;
  readonly record: RecordView;
  readonly marker: Marker | undefined;
  readonly members: readonly SeenMember[];
  readonly own: SeenMember | undefined;
  /** Undefined when this machine's etcd does not say. */
  readonly alarms: readonly Alarm[] | undefined;
  readonly drill: DrillResult | undefined;
  /** Whether this machine's etcd was asked for the last drill, and answered. */
  readonly drillAsked: boolean;
  /** Members in etcd's own list; undefined when it does not say. */
  readonly memberCount: number | undefined;
  /** etcd's own counts; undefined when it does not say. */
  readonly counters: EtcdCounters | undefined;
  readonly newest: Backup | undefined;
  /** Why the bucket could not be asked for the newest backup. */
  readonly bucketProblem: string | undefined;
  readonly agent: AgentState | undefined;
  readonly certificateDaysLeft: number | undefined;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** Looks around once. Never throws for what does not answer. */
export async function lookAround(
  machine: Machine,
  config: MemberConfig,
  tls: ClientTls | undefined,
  seen: Record<string, string>,
): Promise<UpkeepView> {
  const record = await readRecord(machine.bucket);
  const roster = record.kind === "present" ? record.record.roster : config.initialMembers;
  const names = roster.map(({ name }) => name);
  const [members, around, counters, backups, marker, agent] = await Promise.all([
    Promise.all(roster.map((member) => lookAt(member, tls))),
    tls === undefined ? undefined : askOwn(config.address, tls),
    readCounters(config.address).catch(() => undefined),
    newestBackup(machine.bucket, names, seen).then(
      (newest) => ({ newest, bucketProblem: undefined }),
      (error: unknown) => ({ newest: undefined, bucketProblem: reasonOf(error) }),
    ),
    ownMarker(),
    announced().catch(() => undefined),
  ]);
  return {
    ...{ machine, config, record, marker, members, agent, counters, ...backups },
    own: members.find(({ name }) => name === machine.member),
    alarms: around?.alarms,
    drill: around?.drill,
    drillAsked: around?.drillAsked ?? false,
    memberCount: around?.memberCount,
    certificateDaysLeft: await certificateDaysLeft(Date.now()),
    now: Date.now(),
  };
}

async function lookAt(
  { name, address }: { readonly name: string; readonly address: string },
  tls: ClientTls | undefined,
): Promise<SeenMember> {
  const silent = { name, address, status: undefined, healthy: false };
  if (tls === undefined) {
    return silent;
  }
  const [status, read] = await throughEndpoint(
    address,
    askMs,
    (etcd) => Promise.allSettled([etcd.status(), etcd.linearizableRead()]),
    tls,
  );
  return status.status === "fulfilled"
    ? { name, address, status: status.value, healthy: read.status === "fulfilled" }
    : silent;
}

async function askOwn(
  address: string,
  tls: ClientTls,
): Promise<{
  alarms?: readonly Alarm[];
  drill?: DrillResult | undefined;
  drillAsked: boolean;
  memberCount?: number;
}> {
  const [alarms, drill, list] = await throughEndpoint(
    address,
    askMs,
    (etcd) => Promise.allSettled([etcd.alarms(), etcd.read(drillKey), etcd.members()]),
    tls,
  );
  return {
    ...(alarms.status === "fulfilled" ? { alarms: alarms.value } : {}),
    ...(drill.status === "fulfilled" ? { drill: parseDrillResult(drill.value) } : {}),
    drillAsked: drill.status === "fulfilled",
    ...(list.status === "fulfilled" ? { memberCount: list.value.length } : {}),
  };
}

async function ownMarker(): Promise<Marker | undefined> {
  try {
    const parsed = markerSchema.safeParse(JSON.parse((await readIfThere(paths.marker)) ?? "null"));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

const dayMs = 86_400_000;
const certificates = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/** Days until the first of the installed certificates ends, the authorities' included. */
async function certificateDaysLeft(now: number): Promise<number | undefined> {
  const { clientCa, peerCa, serverCertificate, peerCertificate, agentCertificate } = paths.pkiFiles;
  const files = [clientCa, peerCa, serverCertificate, peerCertificate, agentCertificate];
  try {
    const texts = await Promise.all(files.map(readIfThere));
    const ends = texts
      .flatMap((text) => text?.match(certificates) ?? [])
      .map((pem) => Date.parse(new X509Certificate(pem).validTo));
    return ends.length === 0 ? undefined : Math.floor((Math.min(...ends) - now) / dayMs);
  } catch {
    return undefined;
  }
}

/** Generation of the data here, if the record is open at it: then, and only then, this member may bring something into the bucket. */
export function openGeneration({ record, marker }: UpkeepView): number | undefined {
  return record.kind === "present" &&
    record.record.phase === "open" &&
    record.record.generation === marker?.generation &&
    record.record.clusterUid === marker.clusterUid
    ? marker.generation
    : undefined;
}

/** Name of what the agent waits for; what it refuses or cannot do has a name too. */
export function waitOf(agent: AgentState | undefined): string | undefined {
  switch (agent?.state) {
    case "waiting":
      return agent.wait ?? "unnamed";
    case "refused":
    case "failing":
      return agent.state;
    case "starting":
    case "running":
    case undefined:
      return undefined;
  }
}

/** What CloudWatch is told of it, given what an earlier look said. */
export function metricFacts(
  view: UpkeepView,
  earlier: {
    readonly since: number;
    readonly counters: EtcdCounters | undefined;
    readonly newestAt: number | undefined;
  },
): MetricFacts {
  const { machine, config, record, own, alarms, drill, newest, members, now } = view;
  const status = own?.status;
  const raised = (kind: string): boolean | undefined => alarms?.some((each) => each.kind === kind);
  const since = (time: number | undefined): number | undefined =>
    time === undefined ? undefined : Math.max(0, Math.round((now - time) / 1000));
  const rates = view.counters && ratesBetween(earlier.counters, view.counters);
  return {
    cluster: machine.cluster,
    member: machine.member,
    healthy: own?.healthy ?? false,
    hasLeader: status?.leader !== undefined,
    isLeader: status !== undefined && status.leader === status.id,
    dbBytes: status?.dbSizeBytes,
    inUseBytes: status?.dbInUseBytes,
    quotaBytes: quotaOf(config),
    noSpace: raised("Nospace"),
    corrupt: raised("Corrupt"),
    // While the bucket is away, the last known one goes on ageing.
    backupAgeSeconds: since(
      newest?.takenAt ?? (view.bucketProblem === undefined ? earlier.since : earlier.newestAt),
    ),
    drillAgeSeconds: view.drillAsked ? since(drill?.provenAt ?? earlier.since) : undefined,
    drillOk: view.drillAsked ? drill === undefined || drillOk(drill) : undefined,
    certificateDaysLeft: view.certificateDaysLeft,
    rosterSeen: members.filter((each) => each.status !== undefined).length,
    rosterExpected: members.length,
    memberCount: view.memberCount,
    clusterIdMismatch:
      status === undefined
        ? undefined
        : members.filter(
            (each) => (each.status?.clusterId ?? status.clusterId) !== status.clusterId,
          ).length,
    fsyncP99: rates?.fsyncP99,
    commitP99: rates?.commitP99,
    leaderChanges: rates?.leaderChanges,
    generation: record.kind === "present" ? record.record.generation : view.marker?.generation,
    phase: record.kind === "present" ? record.record.phase : undefined,
    wait: waitOf(view.agent),
  };
}
