import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { TestContext } from "node:test";
import { DescribeInstancesCommand, EC2Client, StartInstancesCommand } from "@aws-sdk/client-ec2";
import { parse } from "yaml";
import { z } from "zod";
import { drop } from "../../lab/cli/fault/actions.ts";
import { labMachines } from "../../lab/cli/fault/members.ts";
import { control, inside, waitFor } from "../lab/support.ts";
import { example } from "./harness/example.ts";
import { Writer, type Way } from "./patroni/writer.ts";

/** What the test needs of the stack's outputs. */
const outputSchema = z.object({
  connectionString: z.string(),
  password: z.string(),
  machines: z.array(z.object({ name: z.string(), address: z.string(), instanceId: z.string() })),
  etcdMembers: z.array(z.object({ name: z.string(), address: z.string() })),
});
type Outputs = z.infer<typeof outputSchema>;

/** A row of `patronictl list`. */
const rowSchema = z.object({
  Member: z.string(),
  Role: z.string(),
  State: z.string(),
  TL: z.union([z.number(), z.literal("")]).optional(),
});
type Row = z.infer<typeof rowSchema>;

/** After its key has ended in etcd, the standbys compare what they have, and one of them is promoted. */
const raceSeconds = 5;

const patronictl = ["patronictl", "-c", "/etc/patroni/config.yml"];

async function pidAt(address: string): Promise<number> {
  const machine = (await labMachines()).find((each) => each.address === address);
  assert.ok(machine?.leaderPid !== undefined, `no machine runs at ${address}`);
  return machine.leaderPid;
}

async function ask(address: string, argv: readonly string[], input = ""): Promise<string> {
  const outcome = await inside(await pidAt(address), argv, { input, timeoutSeconds: 30 });
  assert.equal(outcome.code, 0, `${argv.join(" ")}: ${outcome.stdout}${outcome.stderr}`);
  return outcome.stdout;
}

async function rows(address: string): Promise<Row[]> {
  const text = await ask(address, [...patronictl, "list", "--format", "json"]);
  return z.array(rowSchema).parse(JSON.parse(text));
}

const leaderOf = (all: readonly Row[]): Row | undefined =>
  all.find(({ Role, State }) => Role === "Leader" && State === "running");

/** SQL on a machine, as its superuser; one value per row. */
async function sql(address: string, text: string, database = "app"): Promise<string[]> {
  const psql = ["psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-d", database];
  const answer = await ask(address, ["runuser", "-u", "postgres", "--", ...psql], text);
  return answer.split("\n").filter((each) => each !== "");
}

/** Everybody there, one leads, the others stream. */
async function whole(outputs: Outputs, from: string): Promise<Row[]> {
  const { value } = await waitFor("a primary with two standbys that stream", 180, async () => {
    const all = await rows(from);
    const streaming = all.filter(({ State }) => State === "streaming");
    const complete =
      leaderOf(all) !== undefined && streaming.length === outputs.machines.length - 1;
    if (!complete) throw new Error(JSON.stringify(all));
    return all;
  });
  return value;
}

function machineNamed(outputs: Outputs, name: string): Outputs["machines"][number] {
  const found = outputs.machines.find((each) => each.name === name);
  assert.ok(found, name);
  return found;
}

/** A writer, and the promise that ends when all that it says was heard. */
interface Writing {
  readonly writer: Writer;
  readonly heard: Promise<void>;
}

/** A writer on a machine, once it writes. */
async function writing(outputs: Outputs, address: string, first = 0): Promise<Writing> {
  const way: Way = { ...outputs, caFile: "/etc/patroni/tls/ca.crt", first };
  const writer = new Writer(await pidAt(address), way);
  const heard = writer.listen();
  await waitFor("the writer's first rows", 30, () => {
    if (writer.written.length < 20) throw new Error(writer.failures.at(-1) ?? "nothing yet");
    return Promise.resolve(true);
  });
  return { writer, heard };
}

/** Looks for every acknowledged row on a machine, when the writer has ended. */
async function everyRowIsThere({ writer, heard }: Writing, address: string): Promise<number> {
  await heard;
  const there = new Set((await sql(address, "SELECT number FROM written")).map(Number));
  const lost = writer.written.map(({ number }) => number).filter((number) => !there.has(number));
  assert.deepEqual(lost, [], "committed rows that are gone");
  return writer.written.length;
}

/** What a machine may tell by accident: its journal, cloud-init's logs, its user data, and the arguments of all that runs. */
const told =
  "journalctl --no-pager -o cat; cat /var/log/cloud-init*.log /var/lib/cloud/instance/user-data.txt; " +
  "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '";

/** Passwords and keys are in the files that they are for, and nowhere else. */
async function secretsAreSilent(outputs: Outputs): Promise<void> {
  const user = z.object({ password: z.string().min(40) });
  const form = z.object({ postgresql: z.object({ authentication: z.record(z.string(), user) }) });
  for (const { name, address } of outputs.machines) {
    const config = form.parse(JSON.parse(await ask(address, ["cat", "/etc/patroni/config.yml"])));
    const keys = await Promise.all(
      ["server", "etcd"].map((key) => ask(address, ["cat", `/etc/patroni/tls/${key}.key`])),
    );
    const secrets = [
      outputs.password,
      ...Object.values(config.postgresql.authentication).map(({ password }) => password),
      ...keys.map((pem) => pem.split("\n")[1] ?? ""),
    ];
    const text = await ask(address, ["bash", "-c", told]);
    for (const place of ["Patroni takes over", "#cloud-config", "/usr/bin/patroni"]) {
      assert.ok(text.includes(place), `${name}: ${place} is not where secrets are looked for`);
    }
    assert.deepEqual(
      secrets.map((secret) => secret.length >= 40 && !text.includes(secret)),
      secrets.map(() => true),
      `${name} told a secret`,
    );
  }
}

const now = (): number => Date.now() / 1000;

/**
 * The primary's machine dies, after some seconds in which its standbys did not hear from it while a client on the machine itself went
 * on writing: whatever it acknowledged then would be gone.
 */
async function primaryDies(outputs: Outputs, context: TestContext): Promise<void> {
  const before = await whole(outputs, outputs.machines[0]?.address ?? "");
  const old = machineNamed(outputs, leaderOf(before)?.Member ?? "");
  const [witness] = outputs.machines.filter(({ name }) => name !== old.name);
  assert.ok(witness);
  const config = await ask(witness.address, [...patronictl, "show-config"]);
  const { ttl } = z.object({ ttl: z.number() }).parse(parse(config));
  await sql(old.address, "TRUNCATE written");
  const lonely = await writing(outputs, old.address, 1_000_000);
  const { writer, heard } = await writing(outputs, witness.address);
  const others = outputs.machines
    .map(({ address }) => address)
    .filter((each) => each !== old.address);
  await drop("alone", [
    { from: [old.address], to: others },
    { from: others, to: [old.address] },
  ]);
  // Time for hundreds of rows, if they were acknowledged; and far less than the old primary may lead without its key.
  await sleep(3000);
  const killed = now();
  await control("POST", `machines/${old.instanceId}/kill`);
  await drop("alone", []);
  const { seconds, value: next } = await waitFor("another primary", ttl + 60, async () => {
    const leader = leaderOf(await rows(witness.address));
    return leader === undefined || leader.Member === old.name ? undefined : leader;
  });
  context.diagnostic(
    `a new primary (${next.Member}) ${seconds.toFixed(1)} s after the old one's machine died; ttl is ${ttl} s`,
  );
  assert.ok(seconds <= ttl + raceSeconds, `${seconds} s, with a ttl of ${ttl} s`);
  await waitFor("fifty rows on the new primary", 60, () =>
    Promise.resolve(
      writer.written.filter(({ at }) => at > killed + seconds).length >= 50 || undefined,
    ),
  );
  const primary = machineNamed(outputs, next.Member);
  await writer.stop();
  const count =
    (await everyRowIsThere({ writer, heard }, primary.address)) +
    (await everyRowIsThere(lonely, primary.address));
  context.diagnostic(
    `${count} acknowledged rows, all there; longest time without one: ${writer.longestGap(killed).toFixed(1)} s`,
  );

  // What EC2's automatic recovery does with a machine whose host has died.
  const ec2 = new EC2Client();
  const InstanceIds = [old.instanceId];
  await waitFor("the dead machine to be stopped", 60, async () => {
    const { Reservations } = await ec2.send(new DescribeInstancesCommand({ InstanceIds }));
    return Reservations?.[0]?.Instances?.[0]?.State?.Name === "stopped" || undefined;
  });
  await ec2.send(new StartInstancesCommand({ InstanceIds }));
  const started = now();
  const after = await whole(outputs, witness.address);
  context.diagnostic(
    `${old.name} streams as a standby ${(now() - started).toFixed(0)} s after its start`,
  );
  assert.equal(leaderOf(after)?.Member, next.Member, "the old primary took nothing back");
  const timelines = new Set(after.map(({ TL }) => TL));
  assert.deepEqual([...timelines], [leaderOf(after)?.TL]);
  assert.notEqual(leaderOf(after)?.TL, leaderOf(before)?.TL);
}

async function etcdLeader(outputs: Outputs): Promise<Outputs["etcdMembers"][number]> {
  const { value } = await waitFor("etcd's leader", 60, async () => {
    for (const member of outputs.etcdMembers) {
      const metrics = await ask(member.address, ["curl", "-sf", "http://127.0.0.1:2381/metrics"]);
      if (/^etcd_server_is_leader 1$/m.test(metrics)) return member;
    }
    return undefined;
  });
  return value;
}

/** The machine of etcd's leader dies; PostgreSQL has no reason to notice. */
async function storeLosesItsLeader(outputs: Outputs, context: TestContext): Promise<void> {
  const from = outputs.machines[0]?.address ?? "";
  const before = await whole(outputs, from);
  const primary = machineNamed(outputs, leaderOf(before)?.Member ?? "");
  await sql(primary.address, "TRUNCATE written");
  const { writer, heard } = await writing(outputs, from);
  const leader = await etcdLeader(outputs);
  const machine = (await labMachines()).find(({ address }) => address === leader.address);
  const killed = now();
  await control("POST", `machines/${machine?.id ?? ""}/kill`);
  const { seconds } = await waitFor("another leader of etcd", 60, async () => {
    const others = {
      ...outputs,
      etcdMembers: outputs.etcdMembers.filter(({ name }) => name !== leader.name),
    };
    return (await etcdLeader(others)).name;
  });
  // Longer than a key of Patroni's lives: whoever could not renew his has lost it by now.
  await sleep(45_000);
  const after = await whole(outputs, from);
  const pick = (all: Row[]) => ({ leader: leaderOf(all)?.Member, timeline: leaderOf(all)?.TL });
  assert.deepEqual(pick(after), pick(before), "PostgreSQL failed over");
  await writer.stop();
  const count = await everyRowIsThere({ writer, heard }, primary.address);
  context.diagnostic(
    `etcd had another leader ${seconds.toFixed(1)} s after the death of ${leader.name}; PostgreSQL stayed on ${primary.name}, ` +
      `${count} acknowledged rows, longest time without one: ${writer.longestGap(killed).toFixed(2)} s`,
  );
}

/** PostgreSQL fails over when it must, loses nothing, and does not when only its store has a bad minute. */
example("patroni", async (stack, context) => {
  const outputs = outputSchema.parse(await stack.outputs());
  const first = await whole(outputs, outputs.machines[0]?.address ?? "");
  const primary = machineNamed(outputs, leaderOf(first)?.Member ?? "");
  await sql(
    primary.address,
    "CREATE TABLE written (number integer PRIMARY KEY); ALTER TABLE written OWNER TO app",
  );
  await secretsAreSilent(outputs);
  await storeLosesItsLeader(outputs, context);
  await primaryDies(outputs, context);
});
