import type { Attestation, Holding, Report } from "../../../scripts/agent/attestation";
import type { Action, Facts } from "../../../scripts/agent/facts";
import type { Marker } from "../../../scripts/agent/marker";
import type { ClusterRecord, RecordView } from "../../../scripts/agent/record";

/** Facts of an ordinary member, from which each test departs in one point. */

export const clusterUid = "3f6f2f0e-6d7c-4d55-9a55-0d3c3a1f7b11";

export const volumes = { m1: "vol-0000000a", m2: "vol-0000000b", m3: "vol-0000000c" } as const;

/** The machines under the members, and etcd's ids of their data. */
export const instances = { m1: "i-0000000a", m2: "i-0000000b", m3: "i-0000000c" } as const;
export const ids = { m1: "a1", m2: "a2", m3: "a3" } as const;

export function record(changes: Partial<ClusterRecord> = {}): ClusterRecord {
  return {
    clusterUid,
    generation: 1,
    token: "test-1",
    epoch: 1,
    phase: "open",
    initial: ["m1", "m2", "m3"],
    roster: (["m1", "m2", "m3"] as const).map((name, at) => ({
      name,
      address: `10.42.${at}.10`,
      volumeId: volumes[name],
    })),
    joined: ["m1", "m2", "m3"],
    formed: true,
    source: { kind: "new" },
    earlierSources: [],
    nonce: "11111111-2222-4333-8444-555555555555",
    ...changes,
  };
}

export const present = (changes: Partial<ClusterRecord> = {}): RecordView => ({
  kind: "present",
  record: record(changes),
  etag: '"1"',
});

export const unreachable: RecordView = { kind: "unreachable", reason: "503 SlowDown" };

export const absent: RecordView = { kind: "absent" };

export function marker(changes: Partial<Marker> = {}): Marker {
  return {
    clusterUid,
    member: "m1",
    volumeId: volumes.m1,
    generation: 1,
    instanceId: instances.m1,
    ...changes,
  };
}

export const live: Facts["live"] = {
  running: false,
  quorum: false,
  withoutQuorumSeconds: 0,
  someoneAnswers: false,
  learner: false,
  removed: false,
  othersAgree: false,
};

export const roll: Facts["roll"] = {
  reports: [],
  attestations: [],
  previous: [],
  backups: [],
  unreadable: [],
  stalledSeconds: 0,
};

export function facts(changes: Partial<Facts> = {}): Facts {
  return {
    self: {
      member: "m1",
      volumeId: volumes.m1,
      instanceId: instances.m1,
      firstMember: true,
      recovery: "automatic",
      quorumLossSeconds: 180,
    },
    disk: { kind: "data", marker: marker() },
    record: present(),
    live,
    roll,
    ...changes,
  };
}

/** What a member reports in the record's first epoch. */
export function report(
  member: keyof typeof volumes,
  holds: Report["holds"] = "data",
  changes: Partial<Report> = {},
): Report {
  return {
    schema: 1,
    clusterUid,
    member,
    epoch: 1,
    instanceId: instances[member],
    volumeId: volumes[member],
    holds,
    ...changes,
  };
}

/** Intact data of a voter of m1, m2, m3. */
export function holding(member: keyof typeof volumes, changes: Partial<Holding> = {}): Holding {
  return {
    generation: 1,
    term: 3,
    index: 100,
    id: ids[member],
    votersAtCommit: Object.values(ids),
    votersAtLast: Object.values(ids),
    ...changes,
  };
}

/** What a member attests in epoch 2, the first roll call; without data it is blank. */
export function attestation(
  member: keyof typeof volumes,
  data?: Holding,
  changes: Partial<Attestation> = {},
): Attestation {
  return {
    schema: 1,
    clusterUid,
    member,
    epoch: 2,
    instanceId: instances[member],
    volumeId: volumes[member],
    ...(data === undefined ? {} : { data }),
    setAside: [],
    ...changes,
  };
}

/** One word for an action: its kind, and the name of a wait. */
export function word(action: Action): string {
  return action.kind === "wait" ? `wait:${action.name}` : action.kind;
}
