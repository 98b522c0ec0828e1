import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EC2Client, StartInstancesCommand } from "@aws-sdk/client-ec2";
import { z } from "zod";
import { control, labMachines, type LabMachine } from "../../lab/cli/fault/members.ts";
import type { World } from "../../lab/world.ts";
import { inside, must, run, waitFor } from "../lab/support.ts";
import { example } from "./harness/example.ts";
import { exampleFolder } from "./harness/project.ts";
import type { ExampleStack } from "./harness/stack.ts";
import type { Sent } from "./webApp/requests.ts";
import { faults, succeeded, Traffic } from "./webApp/traffic.ts";

/**
 * A web app on two zones under requests that never pause: while another release is rolled out, while one is that does not work, without a
 * zone, and without the database's primary. What may fail is computed from the intervals that the program declares.
 */

const outputsSchema = z.object({
  appVersion: z.string(),
  bastionHost: z.string(),
  machines: z.record(z.string(), z.string()),
  databaseMachines: z.array(
    z.object({ name: z.string(), zone: z.string(), address: z.string(), instanceId: z.string() }),
  ),
  bounds: z.object({ machine: z.number(), databasePrimary: z.number(), scheduler: z.number() }),
});
type Outputs = z.output<typeof outputsSchema>;

/** What a busy host adds to every bound, seconds. */
const slackSeconds = 3;

/** Everything that was ever acknowledged. */
const notes: string[] = [];
const visits: string[] = [];

async function machineAt(find: (machine: LabMachine) => boolean): Promise<LabMachine> {
  const found = (await labMachines()).find(find);
  assert.ok(found, "there is no such machine");
  return found;
}

async function bastionPid(outputs: Outputs): Promise<number> {
  const { leaderPid } = await machineAt(
    ({ publicAddress }) => publicAddress === outputs.bastionHost,
  );
  assert.ok(leaderPid !== undefined);
  return leaderPid;
}

/** The app's balancer: its address in every zone. */
async function balancerAddresses(outputs: Outputs): Promise<Record<string, string>> {
  const { world } = (await control("GET", "world")) as { world: World };
  const vpc = world.vpcs.find(({ balancers }) =>
    balancers.some(({ listeners }) => listeners.some(({ port }) => port === 80)),
  );
  const balancer = vpc?.balancers.find(({ listeners }) => listeners[0]?.port === 80);
  const zones = new Map(vpc?.subnets.map(({ id, zone }) => [id, zone]));
  const found = Object.fromEntries(
    (balancer?.addresses ?? []).map(({ subnetId, address }) => [
      zones.get(subnetId) ?? "",
      address,
    ]),
  );
  assert.deepEqual(Object.keys(found).sort(), Object.keys(outputs.machines).sort());
  return found;
}

/** One question from the bastion. */
async function ask(outputs: Outputs, address: string, path: string): Promise<unknown> {
  const answer = await inside(await bastionPid(outputs), [
    ...["curl", "-sf", "-m", "10", `http://${address}${path}`],
  ]);
  assert.equal(answer.code, 0, `${path}: ${answer.stderr}`);
  return JSON.parse(answer.stdout) as unknown;
}

/** Requests by everybody's way while something is done; all of them, and when it was done. */
async function meanwhile(
  outputs: Outputs,
  addresses: readonly string[],
  work: (traffic: Traffic) => Promise<void>,
): Promise<readonly Sent[]> {
  const traffic = new Traffic(await bastionPid(outputs), addresses);
  try {
    await waitFor("answers", 30, () =>
      Promise.resolve(traffic.sent.filter(succeeded).length >= 40 ? true : undefined),
    );
    await work(traffic);
  } finally {
    await traffic.end();
  }
  const sent = traffic.sent;
  for (const { kind, what } of sent.filter(succeeded)) {
    if (what === undefined) continue;
    if (kind === "note") notes.push(what);
    if (kind === "visit") visits.push(what);
  }
  return sent;
}

/** Nothing failed but what began within so many seconds after a moment. */
function failedOnlyWithin(sent: readonly Sent[], since: number, seconds: number): void {
  const until = since + (seconds + slackSeconds) * 1000;
  const outside = sent.filter(
    (each) => !succeeded(each) && (each.began + 1000 < since || each.began > until),
  );
  assert.deepEqual(outside, [], `more than ${seconds} s: ${faults(sent, since)}`);
}

function versionsOf(sent: readonly Sent[]): string[] {
  return [...new Set(sent.flatMap(({ by }) => by ?? []))].sort();
}

/** A release whose app ends as soon as it is started. */
async function breakRelease(stack: ExampleStack, version: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "etcd-web-release-"));
  const archive = join(stack.folder, "dist", `web-app-${version}.tar.gz`);
  await must("tar", ["-xzf", archive, "-C", folder]);
  writeFileSync(join(folder, "lib", "app.js"), "process.exit(1);\n");
  await must("tar", ["-czf", archive, "-C", folder, "."]);
  rmSync(folder, { recursive: true });
}

example(
  "ha-web-app",
  async (stack, context) => {
    const outputs = outputsSchema.parse(await stack.outputs());
    const addresses = await balancerAddresses(outputs);
    const everywhere = Object.values(addresses);
    const zones = Object.keys(outputs.machines);
    const told = (what: string, sent: readonly Sent[], since: number): void => {
      context.diagnostic(`${what}: ${faults(sent, since)}`);
    };
    assert.equal(zones.length, 2);

    await context.test("another release, machine by machine: no request fails", async () => {
      const began = Date.now();
      const sent = await meanwhile(outputs, everywhere, async () => {
        await stack.set("appVersion", "1.1.0");
        await stack.up();
      });
      told("deployment", sent, began);
      assert.deepEqual(
        sent.filter((each) => !succeeded(each)),
        [],
        faults(sent, began),
      );
      assert.deepEqual(
        versionsOf(sent),
        zones.flatMap((zone) => [`${zone} 1.0.0`, `${zone} 1.1.0`]).sort(),
      );
      const last = sent.filter(({ began: at }) => at > (sent.at(-1)?.began ?? 0) - 1000);
      assert.ok(last.every(({ by }) => by?.endsWith(" 1.1.0")));
    });

    await context.test(
      "a release that does not work: refused on the first machine, and no request fails",
      async () => {
        const began = Date.now();
        const sent = await meanwhile(outputs, everywhere, async () => {
          await stack.set("appVersion", "1.2.0");
          const refused = await run(
            "pulumi",
            ["up", "--yes", "--skip-preview", "--non-interactive", "--color", "never"],
            { cwd: stack.folder, env: stack.environment, timeoutSeconds: 600 },
          );
          assert.notEqual(refused.code, 0);
          assert.match(
            refused.stdout + refused.stderr,
            /it does not serve: .*what was there before is in place again/,
          );
          await stack.set("appVersion", "1.1.0");
          await stack.up();
        });
        told("deployment that fails", sent, began);
        assert.deepEqual(
          sent.filter((each) => !succeeded(each)),
          [],
          faults(sent, began),
        );
        assert.deepEqual(versionsOf(sent), zones.map((zone) => `${zone} 1.1.0`).sort());
      },
    );

    await context.test(
      "the loss of a zone: what the balancer's probes take to notice",
      async () => {
        // The bastion, where the requests come from, is in the first one.
        const [here = "", lost = ""] = zones;
        const primary = await primaryOf(outputs);
        let since = 0;
        let scheduled = 0;
        const sent = await meanwhile(outputs, [addresses[here] ?? ""], async (traffic) => {
          since = Date.now();
          await control("POST", `zones/${lost}/cut`);
          const next = await waitFor(`${here} to schedule`, 60, async () => {
            const summary = (await ask(outputs, addresses[here] ?? "", "/summary")) as {
              by: string;
              at: string;
            };
            return summary.by === here && Date.parse(summary.at) > since ? summary : undefined;
          });
          scheduled = (Date.parse(next.value.at) - since) / 1000;
          const calm = since + (outputs.bounds.databasePrimary + slackSeconds + 10) * 1000;
          await waitFor("ten calm seconds", 120, () =>
            Promise.resolve(Date.now() > calm && traffic.sent.length > 0 ? true : undefined),
          );
          await control("POST", `zones/${lost}/heal`);
        });
        told(`loss of ${lost}${primary.zone === lost ? ", with the primary" : ""}`, sent, since);
        const database = primary.zone === lost ? outputs.bounds.databasePrimary : 0;
        const withDatabase = sent.filter(({ kind }) => kind === "note");
        const without = sent.filter(({ kind }) => kind !== "note");
        failedOnlyWithin(without, since, outputs.bounds.machine);
        failedOnlyWithin(withDatabase, since, Math.max(outputs.bounds.machine, database));
        // A run is done when the notes are counted.
        const worst = outputs.bounds.scheduler + Math.max(outputs.bounds.machine, database);
        assert.ok(scheduled <= worst + slackSeconds, `${scheduled} s without a scheduler`);
        await healthy(outputs, addresses);
      },
    );

    await context.test(
      "the loss of the database's primary: what Patroni's time to live explains",
      async () => {
        await databaseWhole(outputs);
        const primary = await primaryOf(outputs);
        let since = 0;
        const sent = await meanwhile(outputs, everywhere, async (traffic) => {
          since = Date.now();
          await control("POST", `machines/${primary.instanceId}/kill`);
          await waitFor("ten seconds of notes", outputs.bounds.databasePrimary + 60, () => {
            const recent = traffic.sent.filter(
              ({ kind, began }) => kind === "note" && began > Date.now() - 10_000,
            );
            // Four a second are sent.
            const calm = recent.length > 30 && recent.every(succeeded);
            return Promise.resolve(calm && Date.now() - since > 20_000 ? true : undefined);
          });
        });
        told(`loss of ${primary.name}`, sent, since);
        // Who needs no database notices nothing.
        failedOnlyWithin(
          sent.filter(({ kind }) => kind !== "note"),
          0,
          0,
        );
        failedOnlyWithin(
          sent.filter(({ kind }) => kind === "note"),
          since,
          outputs.bounds.databasePrimary,
        );
        assert.notEqual((await primaryOf(outputs)).name, primary.name);
        await new EC2Client().send(
          new StartInstancesCommand({ InstanceIds: [primary.instanceId] }),
        );
      },
    );

    await context.test("nothing that was acknowledged is lost, or done twice", async () => {
      assert.ok(notes.length > 500 && visits.length > 500);
      assert.equal(new Set(visits).size, visits.length, "a visit was counted twice");
      const address = everywhere[0] ?? "";
      const pid = await bastionPid(outputs);
      const urls = notes.map((id) => `url = "http://${address}/notes/${id}"\noutput = "/dev/null"`);
      const found = await inside(
        pid,
        ["curl", "-s", "-m", "120", "--write-out", "%{http_code}\n", "--config", "-"],
        { input: urls.join("\n"), timeoutSeconds: 180 },
      );
      const answers = found.stdout.trim().split("\n");
      assert.equal(answers.length, notes.length);
      assert.deepEqual([...new Set(answers)], ["200"]);
    });
  },
  {
    upSeconds: 900,
    prepare: async (stack) => {
      // What the program shares with other examples is beside it.
      for (const name of ["client", "patroni"]) {
        cpSync(join(exampleFolder, name), join(stack.folder, "..", name), {
          recursive: true,
          filter: (path) => !path.endsWith("node_modules"),
        });
      }
      for (const version of ["1.0.0", "1.1.0", "1.2.0"]) {
        await must("npm", ["run", "release", "--", version], { cwd: stack.folder });
      }
      await breakRelease(stack, "1.2.0");
      await stack.set("adminToken", "what only the administrators know", true);
    },
  },
);

/** The database's primary, by its own word. */
async function primaryOf(outputs: Outputs): Promise<Outputs["databaseMachines"][number]> {
  const { value } = await waitFor("a primary", 60, async () => {
    const machines = await labMachines();
    for (const member of outputs.databaseMachines) {
      const pid = machines.find(({ address }) => address === member.address)?.leaderPid;
      if (pid === undefined) continue;
      const answer = await run("nsenter", [
        ...["-t", String(pid), "-n", "curl", "-sk", "-m", "3", "-o", "/dev/null"],
        ...["-w", "%{http_code}", `https://${member.address}:8008/primary`],
      ]);
      if (answer.stdout === "200") return member;
    }
    return undefined;
  });
  return value;
}

/** Waits until the primary has its two standbys: without one of them, nobody would be there to take over. */
async function databaseWhole(outputs: Outputs): Promise<void> {
  const cluster = z.object({ members: z.array(z.object({ state: z.string() })) });
  await waitFor("two standbys", 180, async () => {
    const { address } = await primaryOf(outputs);
    const { leaderPid } = await machineAt((machine) => machine.address === address);
    const answer = await run("nsenter", [
      ...[
        "-t",
        String(leaderPid),
        "-n",
        "curl",
        "-sk",
        "-m",
        "3",
        `https://${address}:8008/cluster`,
      ],
    ]);
    const { members } = cluster.parse(JSON.parse(answer.stdout));
    return members.filter(({ state }) => state === "streaming").length === 2 ? true : undefined;
  });
}

/** Waits until both machines are asked again. */
async function healthy(outputs: Outputs, addresses: Record<string, string>): Promise<void> {
  const pid = await bastionPid(outputs);
  const wanted = Object.keys(outputs.machines).sort();
  await waitFor("both machines to be asked again", 120, async () => {
    const seen = new Set<string>();
    for (const address of [...Object.values(addresses), ...Object.values(addresses)]) {
      const answer = await inside(pid, ["curl", "-s", "-m", "5", `http://${address}/`]);
      seen.add((JSON.parse(answer.stdout) as { machine: string }).machine);
    }
    return wanted.every((zone) => seen.has(zone)) ? true : undefined;
  });
}
