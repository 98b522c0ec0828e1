import { Random } from "./random";

/** What may go wrong in a run, and how often. Each run leaves out some of it: rare combinations come up more often that way. */

/** How often per thousand steps each of these happens. */
export interface Rates {
  /** Time passes. */
  readonly time: number;
  readonly write: number;
  readonly raft: number;
  readonly campaign: number;
  readonly systemd: number;
  readonly agent: number;
  readonly operator: number;
  // Faults.
  readonly killEtcd: number;
  readonly killAgent: number;
  readonly secondAgent: number;
  readonly killMachine: number;
  readonly reboot: number;
  readonly launch: number;
  readonly loseVolume: number;
  readonly damage: number;
  readonly copyVolume: number;
  readonly putBack: number;
  readonly detach: number;
  readonly partition: number;
  readonly heal: number;
  readonly s3: number;
  readonly lateS3: number;
  readonly backup: number;
  readonly badBackup: number;
  readonly badSource: number;
  readonly resize: number;
  readonly restore: number;
}

/** One run. */
export interface Scenario {
  readonly seed: number;
  readonly size: number;
  readonly profile: Profile;
  readonly recovery: "automatic" | "manual";
  /** Steps with faults; afterwards everything becomes well. */
  readonly steps: number;
  readonly rates: Rates;
  /** How often a message between members is lost. */
  readonly lossy: number;
  /** How often the bucket does not answer, or does not say what it did. */
  readonly s3Lossy: number;
  /** Whether a survivor that is no voter can be recovered. */
  readonly nonVoters: boolean;
}

/** What a run is mainly about. */
export const profiles = [
  "any",
  "disks",
  "resize",
  "restore",
  "bucket",
  "raft",
  "agents",
  "cut",
  "sources",
  "crowd",
] as const;

/** One of them. */
export type Profile = (typeof profiles)[number];

type Some = (probability: number, rate: number) => number;

/** What there is more of, or nothing of, in a run that is about something. */
function emphasis(profile: Profile, some: Some): Partial<Rates> {
  switch (profile) {
    case "any":
      return {};
    case "disks":
      return {
        ...{ loseVolume: some(1, 2), backup: some(0.8, 3), launch: 20, killMachine: some(0.3, 1) },
        ...{ partition: some(0.3, 1), resize: 0, restore: 0, copyVolume: 0, damage: some(0.3, 1) },
      };
    case "resize":
      return {
        ...{ resize: some(1, 4), operator: 90, restore: 0, damage: 0, copyVolume: 0 },
        ...{ partition: some(0.4, 1), loseVolume: some(0.5, 0.7), s3: some(0.3, 1) },
        ...{ killEtcd: some(0.8, 3), killMachine: some(0.3, 0.5) },
      };
    case "restore":
      return {
        ...{ restore: some(1, 3), operator: 120, backup: some(1, 4), resize: 0, launch: 30 },
        ...{ s3: some(0.9, 5), partition: some(0.9, 3), reboot: some(0.6, 2), time: 15 },
        ...{ loseVolume: some(0.3, 0.4), killMachine: some(0.7, 2), secondAgent: some(0.5, 8) },
        ...{ killEtcd: some(0.7, 3) },
      };
    case "bucket":
      return {
        ...{ s3: some(1, 6), lateS3: 15, backup: some(0.8, 8), reboot: some(0.8, 3) },
        ...{ loseVolume: some(0.8, 2), launch: 30, restore: 0, badBackup: some(0.5, 1) },
      };
    case "raft":
      return {
        ...{ campaign: 60, raft: 400, write: 40, partition: some(1, 6), heal: 6, agent: 250 },
        ...{ killEtcd: some(0.7, 3), loseVolume: some(0.9, 1), resize: 0, restore: 0 },
      };
    case "crowd":
      return {
        ...{ reboot: 15, secondAgent: 40, restore: 15, operator: 350, backup: 8, s3: some(0.9, 6) },
        ...{ campaign: 60, systemd: 100, time: 30, killEtcd: 5, killAgent: 0, killMachine: 0 },
        ...{ loseVolume: 0, damage: 0, copyVolume: 0, badBackup: 0, resize: 0, partition: 0 },
      };
    case "sources":
      return {
        ...{ loseVolume: some(1, 5), backup: some(1, 12), badSource: some(1, 6), launch: 60 },
        ...{ time: 60, killMachine: 0, partition: 0, s3: 0, resize: 0, restore: 0, damage: 0 },
      };
    case "cut":
      return {
        ...{ s3: some(1, 8), restore: some(1, 8), operator: 250, backup: some(1, 8), time: 30 },
        ...{ reboot: some(0.8, 5), killMachine: some(0.8, 4), launch: 60, killEtcd: some(1, 6) },
        ...{ campaign: 50, systemd: 60, secondAgent: some(0.6, 30), killAgent: some(0.5, 5) },
        ...{ loseVolume: 0, damage: 0, copyVolume: 0, badBackup: 0, resize: 0, detach: 0 },
      };
    case "agents":
      return {
        ...{ killAgent: some(1, 12), secondAgent: some(1, 8), killEtcd: some(1, 6) },
        ...{ partition: some(1, 3), heal: 4, reboot: some(0.5, 2), restore: some(0.5, 2) },
        ...{ backup: some(0.8, 4), s3: some(0.7, 4), operator: 100, time: 20 },
      };
  }
}

/** The scenario of a seed. */
export function scenarioOf(seed: number, steps: number, wanted?: Profile): Scenario {
  const random = new Random(seed ^ 0x5bd1e995);
  const profile = wanted ?? (random.chance(0.4) ? "any" : (random.pick(profiles) ?? "any"));
  const sizes =
    profile === "raft"
      ? [3, 5, 5]
      : profile === "cut" || profile === "sources"
        ? [1, 1, 2, 3]
        : [1, 2, 3, 3, 3, 3, 5];
  const size = random.pick(sizes) ?? 3;
  const some: Some = (probability, rate) =>
    random.chance(probability) ? rate * (0.3 + 2 * random.next()) : 0;
  return {
    seed,
    size,
    profile,
    recovery: random.chance(profile === "restore" ? 0.4 : 0.12) ? "manual" : "automatic",
    steps,
    lossy: random.chance(0.6) ? random.next() * 0.4 : 0,
    s3Lossy: random.chance(0.5) ? random.next() * 0.15 : 0,
    nonVoters: random.chance(0.7),
    rates: {
      time: 6 + 20 * random.next(),
      write: 20,
      raft: 300,
      campaign: 10 + 20 * random.next(),
      systemd: 40,
      agent: 450,
      operator: 40,
      killEtcd: some(0.5, 2),
      killAgent: some(0.6, 4),
      secondAgent: some(0.4, 3),
      killMachine: some(0.6, 1.5),
      reboot: some(0.4, 1),
      launch: 10,
      loseVolume: some(0.6, 1),
      damage: some(0.2, 0.5),
      copyVolume: some(0.1, 0.3),
      // Only where it is asked for (olderCopy.test.ts).
      putBack: 0,
      detach: some(0.2, 0.5),
      partition: some(0.5, 1.5),
      heal: 3,
      s3: some(0.5, 2),
      lateS3: 10,
      backup: some(0.5, 2),
      badBackup: some(0.2, 0.3),
      badSource: profile === "disks" || profile === "cut" ? some(0.4, 0.7) : 0,
      resize: some(0.35, 1),
      restore: some(0.2, 0.5),
      ...emphasis(profile, some),
    },
  };
}
