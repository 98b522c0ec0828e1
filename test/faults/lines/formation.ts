import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { refuseS3 } from "../../../lab/cli/fault/actions.ts";
import { control, labMachines } from "../../../lab/cli/fault/members.ts";
import { must, run, waitFor } from "../../lab/support.ts";
import type { Cluster } from "../harness/cluster.ts";
import { aroundEach, Deaths } from "../harness/deaths.ts";
import { cluster, keepFigures, orderOf, step } from "../harness/line.ts";
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
  formation("formation-killed", "agents die before and after its steps", async (done) => {
    const deaths = new Deaths(() => aroundEach(effects));
    await done;
    const died = await deaths.stop();
    assert.ok(died.length >= 6, `only ${died.length} agents died: nothing was shown`);
    return { deaths: died.map(({ point }) => point).join(", ") };
  });
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
  step(name, async (context) => {
    const old = await cluster();
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
    keepFigures({
      line: name,
      order: orderOf(name),
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
    });
  } finally {
    await writer.end();
  }
}
