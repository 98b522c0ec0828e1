import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { refuseS3 } from "../../../lab/cli/fault/actions.ts";
import { control, labMachines } from "../../../lab/cli/fault/members.ts";
import { must, run, waitFor } from "../../lab/support.ts";
import type { Cluster } from "../harness/cluster.ts";
import { aroundEach, Deaths } from "../harness/deaths.ts";
import { dieAt, hasDied } from "../harness/machine.ts";
import { faults } from "../harness/line.ts";
import { now } from "../writer/clock.ts";
import { judge, redundant } from "../writer/judge.ts";

/** What a member does when a cluster is first formed (scripts/agent), in this order. */
const effects = [
  "createRecord:put",
  "formFirst:format",
  "formFirst:intent",
  "formFirst:join",
  "formFirst:marker",
  "start:artifacts",
  "start:settings",
  "start:etcd",
] as const;

/** How long one member stays behind the others. */
const lateSeconds = 60;

/** How long S3 refuses everybody while the first machines come up. */
const refusedSeconds = 30;

/** The first formation of a cluster: the stack is destroyed and built anew in the same lab, and disturbed meanwhile. */
export function formationLines(): void {
  formation("formation", "nothing is disturbed", () => Promise.resolve({}));
  formation("formation-late", `one member comes ${lateSeconds} s after the others`, async () => {
    const address = await firstAddressIn("c");
    await control("POST", "s3/refuse", [address]);
    await sleep(lateSeconds * 1000);
    await refuseS3([]);
    return { "late by, s": lateSeconds };
  });
  formation("formation-s3", `S3 refuses everybody for ${refusedSeconds} s`, async () => {
    await firstAddressIn("a");
    await refuseS3("all");
    await sleep(refusedSeconds * 1000);
    await refuseS3([]);
    return { "refused for, s": refusedSeconds };
  });
  formation(
    "formation-record",
    "the record is there before the machines: those that made it die at once",
    madeByTheDead,
  );
  formation(
    "formation-racing",
    "all members are about to create the record, and are let go in one moment",
    letGoTogether,
  );
  formation("formation-killed", "agents die before and after its steps", async (done) => {
    const deaths = new Deaths(() => aroundEach(effects));
    await done;
    const died = await deaths.stop();
    assert.ok(died.length >= 6, `only ${died.length} agents died: nothing was shown`);
    return { deaths: died.map(({ point }) => point).join(", ") };
  });
}

/** The machines of members that there are now. */
async function memberMachines(): Promise<{ id: string; root: string; address: string }[]> {
  return (await labMachines()).flatMap(({ id, rootFolder, address, publicAddress }) =>
    rootFolder === undefined || address === undefined || publicAddress !== undefined
      ? []
      : [{ id, root: rootFolder, address }],
  );
}

/** Asks the agent of every machine that comes up to end itself at a point, until something is found; looks often. */
async function untilDead<T>(
  what: string,
  point: string,
  found: (dead: readonly { id: string; address: string }[]) => Promise<T | undefined>,
): Promise<T> {
  const asked = new Set<string>();
  const { value } = await waitFor(what, 480, async () => {
    const machines = await memberMachines();
    for (const { id, root } of machines) {
      if (asked.has(id)) continue;
      dieAt(root, point);
      asked.add(id);
    }
    return found(machines.filter(({ id, root }) => asked.has(id) && hasDied(root)));
  });
  return value;
}

/** Whoever puts the record first dies behind it, and all machines that there are with it: the next ones find it. */
async function madeByTheDead(): Promise<Record<string, string | number>> {
  await untilDead("the record to be made", "createRecord:put:after", (dead) =>
    Promise.resolve(dead.length > 0 ? true : undefined),
  );
  const doomed = await memberMachines();
  await Promise.all(doomed.map(({ id }) => control("POST", `machines/${id}/kill`)));
  return { "machines that died": doomed.length };
}

/** Each agent ends itself right before its put, and S3 refuses its machine from then on; then S3 serves all of them again. */
async function letGoTogether(): Promise<Record<string, string | number>> {
  const members = 3;
  const refused = await untilDead(
    "all members to be about to create the record",
    "createRecord:put:before",
    async (dead) => {
      const machines = dead.map(({ address }) => address);
      await control("POST", "s3/refuse", machines);
      return dead.length === members ? machines : undefined;
    },
  );
  // Time for every agent to be there again, and to ask.
  await sleep(5000);
  await refuseS3([]);
  return { "members at the start": refused.length };
}

/** The address of the first machine of a member in a zone, as soon as there is one. */
async function firstAddressIn(letter: string): Promise<string> {
  const { value } = await waitFor(`a machine in zone ${letter}`, 120, async () => {
    const machines = await labMachines();
    const { world } = (await control("GET", "world")) as {
      world: {
        vpcs: {
          subnets: { id: string; zone: string }[];
          interfaces: { subnetId: string; address: string; publicAddress?: string }[];
        }[];
      };
    };
    return world.vpcs
      .flatMap(({ subnets, interfaces }) =>
        interfaces.map((each) => ({
          ...each,
          zone: subnets.find(({ id }) => id === each.subnetId)?.zone ?? "",
        })),
      )
      .find(
        ({ zone, address, publicAddress }) =>
          zone.endsWith(letter) &&
          publicAddress === undefined &&
          machines.some((machine) => machine.address === address),
      )?.address;
  });
  return value;
}

/** Builds the cluster anew under a disturbance, and looks at what was formed. */
function formation(
  name: string,
  what: string,
  disturb: (done: Promise<unknown>) => Promise<Record<string, string | number>>,
): void {
  faults.step(name, async (context) => {
    const old = await faults.lab();
    await must("pulumi", ["destroy", "--yes", "--skip-preview"], {
      env: old.environment,
      timeoutSeconds: 180,
    });
    const at = now();
    const up = run("pulumi", ["up", "--yes", "--skip-preview"], {
      env: old.environment,
      timeoutSeconds: 600,
    });
    const [outcome, notes] = await Promise.all([up, disturb(up)]);
    assert.equal(outcome.code, 0, `${outcome.stdout}\n${outcome.stderr}`);
    const seconds = (now() - at) / 1000;
    context.diagnostic(`pulumi up: ${seconds.toFixed(1)} s; ${JSON.stringify(notes)}`);
    await old.reload();
    await oneCluster(old, name, what, { ...notes, "pulumi up, s": seconds.toFixed(1) });
  });
}

/** One record, one generation, one cluster id through every member, and writes that stay. */
async function oneCluster(
  lab: Cluster,
  name: string,
  what: string,
  notes: Record<string, string | number>,
): Promise<void> {
  const writer = await lab.writer(`faults/${name}/`, 6);
  const started = now();
  try {
    await waitFor("a healthy cluster that takes writes", 120, () => {
      const lines = writer.journal.read();
      const writes = lines.filter((each) => each.kind === "ack").length;
      const healthy = redundant(lines, started, false) !== undefined;
      return Promise.resolve(healthy && writes > 500 ? true : undefined);
    });
    await writer.stop();
    const content = await writer.read();
    const verdict = judge(writer.journal.read(), content.stored);
    assert.deepEqual([verdict.lost, verdict.violations, verdict.duplicates], [[], [], []]);
    assert.equal(new Set(Object.values(content.clusterIds)).size, 1);
    assert.equal(Object.keys(content.clusterIds).length, lab.declared.length);
    const record = await lab.bucketView().record();
    assert.deepEqual([record.generation, record.phase], [1, "open"]);
    await lab.verify();
    const result = {
      line: name,
      order: faults.orderOf(name),
      what: `first formation: ${what}`,
      then: "one cluster id, one generation",
      acknowledged: verdict.acknowledged,
      lost: 0,
      onlyOnDestroyed: 0,
      unknown: verdict.unknown,
      resumedSeconds: null,
      silenceSeconds: 0,
      redundantSeconds: null,
      notes,
    };
    faults.measured(result);
    faults.keep(result);
  } finally {
    await writer.end();
  }
}
