import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { destroyVolumes } from "../../lab/cli/fault/actions.ts";
import { labMachines, machineOf, type Member } from "../../lab/cli/fault/members.ts";
import { accountId, runFolder } from "../../lab/paths.ts";
import { Cluster, writeConfig, type TestStack } from "../faults/harness/cluster.ts";
import { backUp } from "../faults/harness/machine.ts";
import { inside, must, repository, waitFor } from "../lab/support.ts";
import { machineControls } from "#security/controls/machine";
import { machineQuestions, readFacts } from "#security/controls/machineFacts";
import { resourceControls } from "#security/controls/resources";
import { callAws, connect } from "#security/lab/attempts";
import { readStack, type DeployedStack } from "#security/lab/deployed";
import { evaluate, policiesInForce } from "#security/lab/inForce";
import { kindsOf, readCalls, recordedKinds } from "#security/recording";

/**
 * A cluster in the lab that does everything for which machines call AWS; then its state, its machines, its network and every call it
 * made are held against the controls. UPDATE_GOLDEN=1 adds the kinds of calls that were never seen before to golden/calls.json, and
 * writes down what a machine says of itself.
 */
const cluster = "etcd-security";
const stack: TestStack = {
  name: "security",
  settings: {
    "etcd-cluster:clusterName": cluster,
    "etcd-cluster:recovery": { quorumLossSeconds: 10, volumeLossSeconds: 30 },
    "etcd-cluster:backup": { everyMinutes: 1, keepLast: 2 },
  },
  keep: process.env["SECURITY_KEEP"] === "1",
};
const golden = join(repository, "test/security/golden");
const callFile = join(runFolder, "calls.jsonl");
const update = process.env["UPDATE_GOLDEN"] === "1";

let lab: Cluster;
let deployed: DeployedStack;

/** Calls that this test makes to see them refused. */
let tried = 0;

const pidOf = (member: Member): number => {
  const { pid } = machineOf(member);
  assert.ok(pid, `${member.name}: its machine does not run`);
  return pid;
};

const called = (action: string): boolean =>
  kindsOf(readCalls(callFile), deployed.scope).some((kind) => kind.action === action);

const healthy = (what: string, seconds: number) =>
  waitFor(what, seconds, async () => {
    await lab.verify();
    return true;
  });

before(async () => {
  lab = await Cluster.up(stack);
  deployed = await readStack(lab.environment, { accountId, region: lab.region, cluster });
});

after(async () => {
  if (!stack.keep) {
    mkdirSync(join(repository, "coverage"), { recursive: true });
    copyFileSync(callFile, join(repository, "coverage", "security-calls.jsonl"));
  }
  await Cluster.down(stack);
});

test("what is deployed: every control over resources holds", () => {
  const findings = resourceControls.flatMap(({ id, check }) =>
    check(deployed.resources).map((finding) => `${id}: ${finding}`),
  );
  assert.deepEqual(findings, []);
});

test("what the machines say: every control over machines holds, on each of them", async () => {
  for (const member of await lab.members()) {
    const { stdout, stderr } = await inside(pidOf(member), ["sh", "-c", machineQuestions], {
      timeoutSeconds: 60,
    });
    const facts = readFacts(stdout, member.address);
    if (update && member.name === "m1") {
      writeFileSync(
        join(golden, "machine.txt"),
        stdout.replaceAll(member.address, "10.42.0.5").replaceAll(/[0-9a-f]{64}/g, "0".repeat(64)),
      );
    }
    const findings = machineControls.flatMap(({ id, check }) =>
      check(facts).map((finding) => `${member.name}: ${id}: ${finding}`),
    );
    assert.deepEqual(findings, [], stderr);
  }
});

test("connections: from a member to another, 2379 and 2380; from a client of the bastion's, 2379 and SSH; nothing else", async () => {
  const [m1, m2] = await lab.members();
  assert.ok(m1 && m2);
  const bastion = (await labMachines()).find(({ publicAddress }) => publicAddress !== undefined);
  assert.ok(bastion?.leaderPid !== undefined && bastion.address !== undefined);
  const from = async (pid: number, to: string): Promise<Record<string, string>> =>
    Object.fromEntries(
      await Promise.all(
        [22, 2379, 2380, 2381].map(async (port) => [port, await connect(pid, to, port)] as const),
      ),
    );
  const dropped = { 22: "dropped", 2379: "dropped", 2380: "dropped", 2381: "dropped" };
  assert.deepEqual(await from(pidOf(m1), m2.address), { ...dropped, 2379: "open", 2380: "open" });
  // The bastion bears the clients' group as well: operators run etcdctl there.
  assert.deepEqual(await from(bastion.leaderPid, m1.address), {
    ...dropped,
    22: "open",
    2379: "open",
  });
  assert.deepEqual(await from(pidOf(m1), bastion.address), dropped);
});

test("calls that a member's role refuses, made on a member with its own credentials", async () => {
  const [m1, m2] = await lab.members();
  assert.ok(m1 && m2);
  const { region, bucket } = deployed.scope;
  const s3 = (key: string): string => `https://${bucket}.s3.${region}.amazonaws.com/${key}`;
  const json = (target: string, body: unknown): string[] => [
    ...["-H", "Content-Type: application/x-amz-json-1.1", "-H", `X-Amz-Target: ${target}`],
    ...["-d", JSON.stringify(body)],
  ];
  const ec2 = (query: string): string[] => [
    ...["-d", `Version=2016-11-15&${query}`, `https://ec2.${region}.amazonaws.com/`],
  ];
  const tries: Readonly<Record<string, readonly [string, ...string[]]>> = {
    "another member's key": [
      "ssm",
      ...json("AmazonSSM.GetParameter", {
        Name: `/${cluster}/m2/server-key`,
        WithDecryption: true,
      }),
      `https://ssm.${region}.amazonaws.com/`,
    ],
    "deleting the record": ["s3", "-X", "DELETE", s3("control/cluster.json")],
    "replacing the record blindly": ["s3", "-X", "PUT", "-d", "{}", s3("control/cluster.json")],
    "another member's pointer": ["s3", "-X", "PUT", "-d", "x", s3("config/m2/approved")],
    "another member's report": [
      ...(["s3", "-X", "PUT", "-H", "If-None-Match: *", "-d", "x"] as const),
      s3("control/reports/m2.json"),
    ],
    "ending another machine": [
      "ec2",
      ...ec2(`Action=TerminateInstances&InstanceId.1=${machineOf(m2).instanceId}`),
    ],
    "taking another's volume": [
      "ec2",
      ...ec2(`Action=DetachVolume&VolumeId=${machineOf(m2).volumeId ?? ""}`),
    ],
    "a volume without a tag": [
      "ec2",
      ...ec2(
        `Action=CreateVolume&AvailabilityZone=${m1.zone}&Size=1&VolumeType=gp3&Encrypted=true`,
      ),
    ],
  };
  tried = Object.keys(tries).length;
  for (const [what, [service, ...curl]] of Object.entries(tries)) {
    const answer = await callAws(pidOf(m1), service, region, curl);
    assert.match(answer, /^403 .*(AccessDenied|UnauthorizedOperation)|^400 .*AccessDenied/, what);
  }
  // The control: the same way, something of its own.
  const own = json("AmazonSSM.GetParameter", {
    Name: `/${cluster}/m1/agent-key`,
    WithDecryption: false,
  });
  const answer = await callAws(pidOf(m1), "ssm", region, [
    ...own,
    `https://ssm.${region}.amazonaws.com/`,
  ]);
  assert.match(answer, /^200 /);
});

test("backups, their drill and their expiry", async () => {
  const { leader } = await lab.roles();
  for (let count = 0; count < 3; count += 1) await backUp(leader);
  await waitFor("a backup to be marked for expiry", 240, () =>
    Promise.resolve(called("s3:PutObjectTagging") ? true : undefined),
  );
});

test("a change of what members are to be, and a machine that another one takes the place of", async () => {
  const backup = { everyMinutes: 1, keepLast: 3 };
  writeConfig(stack, { ...stack.settings, "etcd-cluster:backup": backup });
  await must("pulumi", ["up", "--yes", "--skip-preview", "--color", "never"], {
    env: lab.environment,
    timeoutSeconds: 900,
  });
  const { followers } = await lab.roles();
  const [follower] = followers;
  assert.ok(follower);
  await must("node", ["scripts/operator/replace.ts", "--member", follower.name], {
    env: lab.environment,
    timeoutSeconds: 400,
  });
  await lab.reload();
});

test("a volume that is lost, and all of them", async () => {
  const { followers } = await lab.roles();
  const [doomed] = followers;
  assert.ok(doomed);
  await destroyVolumes([doomed], lab.region);
  await waitFor("another volume to be made", 240, () =>
    Promise.resolve(called("ec2:CreateVolume") ? true : undefined),
  );
  await healthy("the member to be back", 300);
  await destroyVolumes(await lab.members(), lab.region);
  await waitFor("the roll call to name a source", 420, () =>
    Promise.resolve(
      readCalls(callFile).some(({ needs = [] }) =>
        needs.some(
          ({ action, resource }) => action === "s3:PutObject" && resource.includes("/sources/"),
        ),
      )
        ? true
        : undefined,
    ),
  );
  await healthy("the next generation", 420);
});

test("every recorded call is one that its role allows, and of a known kind; the front refused only what was tried here", async (t) => {
  const result = await evaluate(
    readCalls(callFile),
    deployed.scope,
    await policiesInForce(deployed.scope),
  );
  t.diagnostic(
    `${result.calls} calls of machines, ${result.requests} requests, ${result.kinds.length} kinds`,
  );
  assert.deepEqual(result.held, [], "the front refused what the policies allow");
  assert.equal(result.refused.length, tried, result.refused.join("\n"));
  const known = recordedKinds.read(join(golden, "calls.json"));
  const texts = new Set(known.map((kind) => JSON.stringify(kind)));
  const unknown = result.kinds.filter((kind) => !texts.has(JSON.stringify(kind)));
  if (update) recordedKinds.write(join(golden, "calls.json"), [...known, ...unknown]);
  else assert.deepEqual(unknown, [], "kinds that golden/calls.json does not have");
  assert.deepEqual(result.overreaching, []);
});
