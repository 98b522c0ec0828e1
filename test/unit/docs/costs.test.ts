import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

import type { EtcdClusterArgs } from "../../../components";
import { Egress, resolveOptions } from "../../../components/plan/options";
import { describeProblems } from "../../../components/plan/problems";
import { readConfig } from "../../../config";
import { metricData } from "../../../scripts/agent/metrics";
import { backupsStored, bill, type AgentWork, type Usage } from "../../../scripts/build/costs/bill";
import { count, type Counted } from "../../../scripts/build/costs/count";
import { withCosts, type Preset, type Variant } from "../../../scripts/build/costs/page";
import { recordCluster, testArtifacts } from "../../support/cluster";
import { knownFacts } from "../agent/metricFacts";

jest.mock("../../../components/machineFiles", () => ({
  ...jest.requireActual<object>("../../../components/machineFiles"),
  agentArtifact: () => ({ kind: "file", path: "/agent.tar.gz", sha256: "a".repeat(64) }),
}));

const root = join(__dirname, "../../..");
const page = join(root, "docs/costs.md");

/** A stack's arguments, by the program's own reading of its file. */
function stack(name: string): EtcdClusterArgs {
  const { config } = parse(readFileSync(join(root, `Pulumi.${name}.yaml`), "utf8")) as {
    config: Record<string, unknown>;
  };
  const raw = Object.fromEntries(
    Object.entries({ ...config, "etcd-cluster:artifacts": testArtifacts }).map(([key, value]) => [
      key,
      typeof value === "string" ? value : JSON.stringify(value),
    ]),
  );
  const read = readConfig(raw, () => "");
  if (read.problems.length > 0) throw new Error(describeProblems(read.problems));
  return read.config.args;
}

const small: Usage = { databaseGiB: 0.01, writtenGB: 1, balancedGB: 1 };
const busy: Usage = { databaseGiB: 1, writtenGB: 100, balancedGB: 100 };

/** What examples/single-node asks for. */
const single: EtcdClusterArgs = {
  ...stack("dev"),
  ...{ clusterName: "single", size: 1, zones: ["eu-central-1a"], egress: Egress.vpcEndpoints },
  ...{ instanceType: "t3.micro", bastionInstanceType: "t3.nano" },
  ...{ backendQuotaGiB: 0.5, volumeSizeGiB: 8 },
  monitoring: { enabled: false },
};

const counts = new Map<string, Promise<Counted>>();

/** What is billed of a program; recorded once, because that takes a second of a processor. */
function counted(args: EtcdClusterArgs): Promise<Counted> {
  const key = JSON.stringify(args);
  const made =
    counts.get(key) ??
    recordCluster(args).then(({ resources }) => {
      const made = count(resources);
      expect(made.members).toHaveLength(args.size ?? 3);
      return made;
    });
  counts.set(key, made);
  return made;
}

/** What agents do with these arguments, by their own code. */
function agentsOf(args: EtcdClusterArgs): AgentWork {
  const { backup } = resolveOptions("etcd", args);
  const told = metricData(knownFacts, new Date(0));
  const ofMembers = told.filter(({ Dimensions }) =>
    Dimensions?.some(({ Name }) => Name === "Member"),
  );
  return {
    metricsPerMember: ofMembers.length,
    metricsPerCluster: told.length - ofMembers.length,
    backupEveryMinutes: backup.everyMinutes,
    backupsKept: backup.keepLast,
  };
}

interface Case extends Preset {
  readonly args: EtcdClusterArgs;
  readonly usage: Usage;
}

async function preset(
  title: string,
  about: string,
  args: EtcdClusterArgs,
  usage: Usage,
): Promise<Case> {
  const { databaseGiB, writtenGB, balancedGB } = usage;
  const assumed = `Assumed: a database of ${databaseGiB} GiB, ${writtenGB} GB written and ${balancedGB} GB through the balancer a month.`;
  const lines = bill(await counted(args), usage, agentsOf(args));
  return { title, about: `${about} ${assumed}`, lines, args, usage };
}

/** What is different in a variant: its arguments, and with them the resources; or only what was counted, or what is assumed. */
interface Change {
  readonly args?: Partial<EtcdClusterArgs>;
  readonly counted?: Partial<Counted>;
  readonly usage?: Partial<Usage>;
}

async function variant(of: Case, change: string, different: Change): Promise<Variant> {
  const args = { ...of.args, ...different.args };
  // Backups change no resource but the bucket's rule, and machines none.
  const recorded = await counted(different.counted === undefined ? args : of.args);
  const usage = { ...of.usage, ...different.usage };
  return {
    ...{ of, change },
    lines: bill({ ...recorded, ...different.counted }, usage, agentsOf(args)),
  };
}

/** What the page compares. One after the other: Pulumi's mocks are one per process. */
async function computed(): Promise<[Preset[], Variant[]]> {
  const dev = await preset("dev", "`Pulumi.dev.yaml` as it is.", stack("dev"), small);
  const prod = await preset("prod", "`Pulumi.prod.yaml` as it is.", stack("prod"), busy);
  const one = await preset(
    "a single node",
    "One member in one zone, without monitoring: what `examples/single-node` asks for. For learning; it survives the loss of its machine, not of its zone.",
    ...([single, small] as const),
  );
  const members = (type: string): Change => ({
    args: { instanceType: type },
    counted: { members: [type, type, type] },
  });
  const fast = { iops: 6000, throughput: 250, size: 40, type: "gp3" } as const;
  const slow = { ...fast, iops: 3000, throughput: 125 };
  const three: Partial<Counted> = {
    ...members("m7i.large").counted,
    rootDisksGiB: [8, 8, 8, 8],
    volumes: [slow, slow, slow],
    alarmMetrics: (await counted(dev.args)).alarmMetrics,
  };
  const endpoints = { natGateways: 0, publicAddresses: 1, endpointZones: 9 };
  const changes: [Case, string, Change][] = [
    [dev, "`egress: vpcEndpoints`", { counted: endpoints }],
    [dev, "`instanceType: m7i.large`", members("m7i.large")],
    [one, "`egress: nat`", { args: { egress: Egress.nat } }],
    [prod, "`size: 3`", { counted: three }],
    [
      prod,
      "`backup: { everyMinutes: 60 }`",
      { args: { backup: { everyMinutes: 60 } }, counted: {} },
    ],
    [prod, "`backup: { keepDays: 7 }`", { counted: { keepDays: 7 } }],
    [prod, "a database of 4 GiB", { usage: { databaseGiB: 4 } }],
    [prod, "a database of 0.1 GiB", { usage: { databaseGiB: 0.1 } }],
    [
      prod,
      "`volumeIops: 6000`, `volumeThroughputMiBps: 250`",
      { counted: { volumes: [fast, fast, fast, fast, fast] } },
    ],
  ];
  const variants: Variant[] = [];
  for (const change of changes) variants.push(await variant(...change));
  return [[dev, prod, one], variants];
}

/** Without what prettier does to tables. */
const plain = (text: string): string => text.replace(/ {2,}/g, " ").replace(/-{2,}/g, "--");

describe("docs/costs.md", () => {
  test("says what the component's resources cost (UPDATE_GOLDEN=1 rewrites it; then prettier)", async () => {
    const text = readFileSync(page, "utf8");
    const wanted = withCosts(text, ...(await computed()));
    if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(page, wanted);
    else expect(plain(text)).toBe(plain(wanted));
  }, 240_000);
});

describe("the count", () => {
  test("refuses a resource of which nobody said what it costs", () => {
    expect(() => count([{ type: "aws:rds/instance:Instance", inputs: {} }])).toThrow(
      "nobody said what these cost: aws:rds/instance:Instance; count them in scripts/build/costs/count.ts, or name them among what is free",
    );
  });

  test("refuses parameters that are not free, and other types of volumes", () => {
    const parameter = { type: "aws:ssm/parameter:Parameter", inputs: { tier: "Advanced" } };
    expect(() => count([parameter])).toThrow();
    const inputs = { type: "io2", size: 10, iops: 3000, throughput: 125 };
    expect(() => count([{ type: "aws:ebs/volume:Volume", inputs }])).toThrow();
  });

  test("by hand: the single node", async () => {
    expect(await counted(single)).toEqual({
      members: ["t3.micro"],
      bastions: ["t3.nano"],
      rootDisksGiB: [8, 8],
      volumes: [{ type: "gp3", size: 8, iops: 3000, throughput: 125 }],
      ...{ natGateways: 0, publicAddresses: 1, endpointZones: 3, balancers: 1, keys: 1 },
      // Server, peer and agent key, and the SSH host keys of the member and the bastion.
      parameters: 5,
      ...{ zones: 1, alarms: 0, alarmMetrics: 0, dashboards: 0 },
      ...{ keepDays: 30, noncurrentDays: 30 },
    });
  });
});

describe("the bill", () => {
  test("backups stay until they expire, then as versions; the newest ones longer if they come seldom", () => {
    const days = { keepDays: 30, noncurrentDays: 30 };
    const agents = { metricsPerMember: 0, metricsPerCluster: 0, backupsKept: 96 };
    expect(backupsStored(days, { ...agents, backupEveryMinutes: 15 })).toBe(96 * 60);
    expect(backupsStored(days, { ...agents, backupEveryMinutes: 24 * 60 })).toBe(96 + 30);
  });

  test("by hand: a machine, endpoints, faster volumes", async () => {
    const volumes = [{ type: "gp3", size: 10, iops: 4000, throughput: 125 } as const];
    const lines = new Map(
      bill({ ...(await counted(single)), volumes }, small, agentsOf(single)).map(
        ({ what, usd }) => [what, usd.toFixed(2)],
      ),
    );
    expect(lines.get("members, t3.micro")).toBe("8.76");
    expect(lines.get("interface endpoints, by zone")).toBe("26.28");
    expect(lines.get("NAT gateways")).toBeUndefined();
    expect(lines.get("their IOPS above 3000")).toBe("6.00");
    expect(lines.get("replication between zones")).toBeUndefined();
  });

  test("a type without a price is refused", async () => {
    const other = { ...(await counted(single)), members: ["m7i.2xlarge"] };
    expect(() => bill(other, small, agentsOf(single))).toThrow("no price of m7i.2xlarge");
  });
});
