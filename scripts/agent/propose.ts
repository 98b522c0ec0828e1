import { rename, stat } from "node:fs/promises";
import { join } from "node:path";

import { WrongContent } from "./bucket";
import { putRecord, type Context } from "./context";
import { readDatabase } from "./database";
import type { Source } from "./facts";
import { paths } from "./paths";
import { step } from "./point";
import { compareRanks, type Rank } from "./rank";
import type { ClusterRecord, NamedSource } from "./record";
import { say } from "./say";
import { withScratch } from "./scratch";
import { stopEtcd } from "./service";
import { fetchVerified, sourceKey, tryRestore } from "./sources";
import { recoverSurvivor, SurvivorRefusal } from "./survivor";
import { nextGeneration, revisionBump } from "./transitions";

/** From a roll call to the next generation: its source is put in the bucket, proven, and only then named. */

/** S3 takes no more in one put. */
const uploadLimit = 5 * 2 ** 30;

/**
 * Puts the next generation. Another member may do the same at the same time; the record decides. A damaged copy is taken, as far as it
 * can be read, only when a person has chosen it.
 */
export async function propose(
  context: Context,
  record: ClusterRecord,
  source: Source,
  acceptDamage = false,
): Promise<void> {
  const named =
    source.kind === "new" ? "new" : await prepare(context, record, source, acceptDamage);
  if (named === undefined) {
    return;
  }
  const next = nextGeneration(record, context.facts.roll.attestations, named);
  say(
    `begins generation ${next.generation} from ${named === "new" ? "nothing" : `${source.kind} ${named.sha256}`}`,
  );
  await step("propose:put", () => putRecord(context, next));
}

/** The source in the bucket, fetched back and restored once; undefined when it turned out not to be one, which is remembered. */
async function prepare(
  context: Context,
  record: ClusterRecord,
  source: Exclude<Source, { kind: "new" }>,
  acceptDamage: boolean,
): Promise<NamedSource | undefined> {
  await stopEtcd();
  return withScratch(context.facts.self.volumeId, async (folder) => {
    try {
      switch (source.kind) {
        case "own":
          return await ownCopy(context, source, folder, acceptDamage);
        case "backup":
          return await copyOf(context, source.backup, folder);
        case "named":
          await proven(context, source, folder);
          return { key: source.key, sha256: source.sha256, rank: source.rank };
      }
    } catch (error) {
      if (error instanceof WrongContent && source.kind !== "own") {
        const { sha256 } = source.kind === "backup" ? source.backup : source;
        say(`not to begin with: ${error.message}`);
        context.memory.unreadable.add(sha256);
        return undefined;
      }
      if (error instanceof SurvivorRefusal) {
        say(`this member's copy is not recovered: ${error.message}`);
        context.memory.notRecoverable.set(record.epoch, `${error.reason}: ${error.message}`);
        return undefined;
      }
      throw error;
    }
  });
}

async function ownCopy(
  context: Context,
  { folder: aside, rank }: Extract<Source, { kind: "own" }>,
  folder: string,
  acceptDamage: boolean,
): Promise<NamedSource> {
  const recovered = await step("propose:recover", () =>
    recoverSurvivor({
      dataDirectory: aside === undefined ? paths.data : join(paths.mount, aside),
      workFolder: join(folder, "survivor"),
      etcdFolder: paths.etcdFolder,
      log: say,
      acceptDamage,
    }),
  );
  const { term, index } = recovered;
  const reached: Rank = { generation: rank.generation, term: Number(term), index: Number(index) };
  if (compareRanks(reached, rank) < 0) {
    throw new Error(
      `the copy ends at ${term}/${index}, and ${rank.term}/${rank.index} was attested`,
    );
  }
  return stored(context, recovered, rank, folder);
}

async function copyOf(
  context: Context,
  backup: Extract<Source, { kind: "backup" }>["backup"],
  folder: string,
): Promise<NamedSource> {
  const file = join(folder, "backup.db");
  await step("propose:fetch", () =>
    fetchVerified(context.machine.bucket, backup, file, paths.etcdFolder),
  );
  const { term, consistentIndex } = await readDatabase(file);
  const { rank, sha256, key } = backup;
  if (Number(term) !== rank.term || Number(consistentIndex) !== rank.index) {
    throw new WrongContent(
      `${key} holds ${term}/${consistentIndex}, which is not what it is called`,
    );
  }
  return stored(context, { file, sha256 }, rank, folder);
}

/** Puts a file where sources are, fetches it back, and tries it. */
async function stored(
  context: Context,
  { file, sha256 }: { readonly file: string; readonly sha256: string },
  rank: Rank,
  folder: string,
): Promise<NamedSource> {
  const { size } = await stat(file);
  if (size > uploadLimit) {
    throw new Error(`the source has ${size} bytes, more than one put takes`);
  }
  const named: NamedSource = { key: sourceKey(sha256), sha256, rank };
  const local = join(folder, "source.db");
  await rename(file, local);
  await step("propose:upload", () => context.machine.bucket.upload(named.key, local));
  await proven(context, named, folder);
  return named;
}

async function proven(
  context: Context,
  source: { readonly key: string; readonly sha256: string },
  folder: string,
): Promise<void> {
  const file = join(folder, "fetched.db");
  await step("propose:verify", async () => {
    await fetchVerified(context.machine.bucket, source, file, paths.etcdFolder);
    await tryRestore(file, folder, paths.etcdFolder, revisionBump);
  });
}
