import type { Counted } from "./count.ts";
import { hoursPerMonth, instances, prices, type Price } from "./prices.ts";

/** What AWS would bill in a month: what was counted and what is assumed, times one table of prices. Pure. */

/** What resources do not say. All of it is an assumption, and stands on the page. */
export interface Usage {
  /** Size of the database, and so of a backup. */
  readonly databaseGiB: number;
  /** What clients write in a month. */
  readonly writtenGB: number;
  /** What clients send and receive through the balancer in a month. */
  readonly balancedGB: number;
}

/** What agents do, by their own code and the cluster's options. */
export interface AgentWork {
  readonly metricsPerMember: number;
  readonly metricsPerCluster: number;
  readonly backupEveryMinutes: number;
  readonly backupsKept: number;
}

/** One row of a bill. */
export interface Line {
  readonly what: string;
  readonly how: string;
  readonly usd: number;
}

/** Calls of a member that is well, a minute: counted in the lab's record, but for those to KMS, which AWS makes for S3. */
export const callsPerMinute = { s3Writes: 4, s3Reads: 12, metrics: 1, kms: 1 } as const;

/** What a member sends and receives through NAT in a month, and what the machines' files take in the bucket. Not measured. */
export const assumed = { natGB: 1, artifactsGB: 0.1, dnsQueries: 1_000_000 } as const;

const minutesPerMonth = hoursPerMonth * 60;
/** Of gp3, included in its price. */
const included = { iops: 3000, throughput: 125 };

const shown = (value: number): string => String(Number(value.toPrecision(6)));

/** `3 × 730 h × 0.024`: what is multiplied is what is shown. */
function line(
  what: string,
  price: Price,
  ...factors: readonly (readonly [number, string])[]
): Line {
  return {
    what,
    how: [
      ...factors.map(([value, unit]) => `${shown(value)} ${unit}`.trim()),
      price.usd < 0.001 ? `${shown(price.usd * 1000)} / 1000` : shown(price.usd),
    ].join(" × "),
    usd: factors.reduce((product, [value]) => product * value, price.usd),
  };
}

function instancePrice(type: string): Price {
  const price = instances[type];
  if (price === undefined) {
    throw new Error(`no price of ${type}; add it to scripts/build/costs/prices.ts`);
  }
  return price;
}

const hours = [hoursPerMonth, "h"] as const;
const minutes = [minutesPerMonth, "min"] as const;
const many = (count: number, what: string): readonly [number, string] => [
  count,
  count === 1 ? what : `${what}s`,
];
const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

/** All lines of a month's bill that are not zero. Free tiers are left out. */
export function bill(counted: Counted, usage: Usage, agents: AgentWork): Line[] {
  const lines = [
    ...machines(counted),
    ...disks(counted),
    ...network(counted, usage),
    ...storage(counted, usage, agents),
    ...watching(counted, agents),
  ];
  return lines.filter(({ usd }) => usd > 0);
}

function machines({ members, bastions }: Counted): Line[] {
  const lines = (role: string, types: readonly string[]): Line[] =>
    [...Map.groupBy(types, (type) => type)].map(([type, all]) =>
      line(`${role}, ${type}`, instancePrice(type), [all.length, ""], hours),
    );
  return [...lines("members", members), ...lines("bastion", bastions)];
}

function disks({ rootDisksGiB, volumes }: Counted): Line[] {
  const above = (what: "iops" | "throughput"): number =>
    sum(volumes.map((volume) => Math.max(0, volume[what] - included[what])));
  return [
    line("root disks", prices.gp3Storage, [sum(rootDisksGiB), "GiB"]),
    line("data volumes", prices.gp3Storage, [sum(volumes.map(({ size }) => size)), "GiB"]),
    line("their IOPS above 3000", prices.gp3Iops, [above("iops"), ""]),
    line("their throughput above 125 MiB/s", prices.gp3Throughput, [above("throughput"), "MiB/s"]),
  ];
}

function network(counted: Counted, { writtenGB, balancedGB }: Usage): Line[] {
  const { members, natGateways, publicAddresses, endpointZones, balancers } = counted;
  const natGB = natGateways === 0 ? 0 : members.length * assumed.natGB;
  return [
    line("NAT gateways", prices.natHour, [natGateways, ""], hours),
    line("data through them", prices.natData, [natGB, "GB"]),
    line("public addresses (NAT, bastion)", prices.publicIpv4, [publicAddresses, ""], hours),
    line("interface endpoints, by zone", prices.endpointHour, [endpointZones, ""], hours),
    line("load balancer", prices.balancerHour, [balancers, ""], hours),
    line("its capacity units", prices.balancerUnit, [balancers * balancedGB, "GB"]),
    // To every other member, as if each were in another zone.
    line("replication between zones", prices.betweenZones, many(members.length - 1, "follower"), [
      writtenGB,
      "GB",
    ]),
    line("private zone", prices.hostedZone, [counted.zones, ""]),
    line("its queries", prices.dnsQuery, [assumed.dnsQueries, ""]),
  ];
}

/** Backups in the bucket at any time: until they expire, and as long again as a version that S3 keeps. */
export function backupsStored(
  { keepDays, noncurrentDays }: Pick<Counted, "keepDays" | "noncurrentDays">,
  { backupEveryMinutes, backupsKept }: AgentWork,
): number {
  const perDay = (24 * 60) / backupEveryMinutes;
  return perDay * (Math.max(keepDays, backupsKept / perDay) + noncurrentDays);
}

function storage(counted: Counted, { databaseGiB }: Usage, agents: AgentWork): Line[] {
  const members = many(counted.members.length, "member");
  return [
    line(
      "backups in the bucket",
      prices.s3Storage,
      [backupsStored(counted, agents), ""],
      [databaseGiB, "GiB"],
    ),
    line("artifacts in the bucket", prices.s3Storage, [assumed.artifactsGB, "GB"]),
    line("S3 puts and lists", prices.s3Write, members, minutes, [callsPerMinute.s3Writes, ""]),
    line("S3 gets", prices.s3Read, members, minutes, [callsPerMinute.s3Reads, ""]),
    line("KMS key", prices.kmsKey, [counted.keys, ""]),
    line("its requests", prices.kmsRequest, members, minutes, [callsPerMinute.kms, ""]),
  ];
}

function watching(counted: Counted, agents: AgentWork): Line[] {
  const { length } = counted.members;
  return [
    line("CloudWatch metrics", prices.metric, [
      length * agents.metricsPerMember + agents.metricsPerCluster,
      "",
    ]),
    line("sending them", prices.metricRequest, many(length, "member"), minutes, [
      callsPerMinute.metrics,
      "",
    ]),
    line("alarms, by their metrics", prices.alarm, [counted.alarmMetrics, ""]),
    line("dashboard", prices.dashboard, [counted.dashboards, ""]),
  ];
}
