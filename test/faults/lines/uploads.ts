import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import {
  cutS3,
  cutUploads,
  destroyVolumes,
  heldUploads,
  holdUploads,
} from "../../../lab/cli/fault/actions.ts";
import type { Member } from "../../../lab/cli/fault/members.ts";
import { waitFor } from "../../lab/support.ts";
import { line } from "../harness/line.ts";
import { memberNow, on } from "../harness/machine.ts";
import { now } from "../writer/clock.ts";
import { nextGeneration, ownRevision, recoverySeconds } from "./recovery.ts";

/** How long the network to S3 is gone in the middle of an upload. */
const cutSeconds = 15;

/** What goes into the bucket in a roll call: what is sworn, and the source of the next generation. */
const uploads = { attestation: "control/attestations/", source: "control/sources/" } as const;

/** Uploads of a roll call that end half-way. */
export function uploadLines(): void {
  halfWay(
    "network",
    `the network between the survivor and S3 is gone for ${cutSeconds} s`,
    async (survivor) => {
      await cutS3("s3", [survivor]);
      await cutUploads();
      await sleep(cutSeconds * 1000);
      await cutS3("s3", []);
    },
  );
  halfWay("killed", "the survivor's agent is killed", async (survivor) => {
    await on(survivor, ["systemctl", "kill", "--signal=KILL", "agent-boot.service"]);
    await cutUploads();
  });
}

function halfWay(how: string, what: string, interrupt: (survivor: Member) => Promise<void>): void {
  line({
    name: `rollcall-upload-${how}`,
    what: `two machines and volumes are destroyed; when half of the survivor's attestation is in the bucket, and again when half of the source is, ${what}`,
    then: "nothing of the half is ever seen; it is sent again, and one generation serves",
    withinSeconds: 2 * recoverySeconds,
    clusters: 2,
    act: async ({ cluster, writer, note }) => {
      const { followers, all } = await cluster.roles();
      const [survivor] = followers;
      assert.ok(survivor);
      note("survivor", survivor.name);
      const before = await cluster.bucketView().record();
      const at = now();
      await destroyVolumes(
        all.filter((each) => each !== survivor),
        cluster.region,
      );
      const inEffectAt = now();
      const own = await ownRevision(writer, survivor.address);
      const newest = (await cluster.bucketView().backups()).at(-1)?.revision ?? 0n;
      for (const [name, path] of Object.entries(uploads)) {
        await holdUploads(path);
        const { value: held } = await waitFor(
          `half of the survivor's ${name}`,
          recoverySeconds,
          async () => (await heldUploads()).find(({ address }) => address === survivor.address),
        );
        assert.equal((await cluster.bucketView().record()).generation, before.generation);
        await interrupt(await memberNow(cluster, survivor.name));
        note(`cut half-way: ${name}`, held.target.split("?")[0] ?? "");
      }
      return { at, inEffectAt, broken: true, survived: own > newest ? own : newest };
    },
    check: async (stage) => {
      await nextGeneration(stage);
      const sources = await stage.cluster.bucketView().keys(uploads.source);
      stage.note("sources in the bucket", sources.length);
    },
  });
}
