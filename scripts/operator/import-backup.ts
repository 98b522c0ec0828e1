import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, mkdtempSync, rmSync } from "node:fs";
import { stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import {
  GetObjectCommand,
  paginateListObjectsV2,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
} from "@aws-sdk/client-s3";
import { z } from "zod";
import { clusterOf, fencingProblem } from "./lib/fencing.ts";
import { main, options, UsageError } from "./lib/main.ts";
import { pulumi, readStack } from "./lib/stack.ts";

const usage = `import-backup.ts --from BUCKET --uid UUID [--key backups/m1/….db] [--confirm CLUSTER]
Puts a backup of another cluster, the newest unless one is named, among the copies that this stack's cluster can be restored from.
That one must be new, and so many of its members fenced that no quorum is left. --uid is the clusterUid of the other cluster, as
control/cluster.json in its bucket has it. Without --confirm and this cluster's name it changes nothing and says what it would do.
The restore itself is restore.ts; the other cluster is only read.`;

/** S3 takes no more in one put, and a member makes no larger backup. */
const largestBytes = 5 * 2 ** 30;

const recordSchema = z.object({
  clusterUid: z.uuid(),
  generation: z.int().min(1),
  source: z.object({ kind: z.string() }),
});

/** What is read of a cluster's record. */
export type RecordFacts = z.infer<typeof recordSchema>;

/** What an import is decided by. */
export interface ImportFacts {
  /** The uid that was typed. */
  readonly uid: string;
  readonly other: RecordFacts;
  readonly own: RecordFacts;
  /** Keys of the other cluster's backups. */
  readonly keys: readonly string[];
  /** The key that was named. */
  readonly key: string | undefined;
  /** This cluster's members: why each may still be alive, undefined when it is fenced. */
  readonly members: readonly { readonly name: string; readonly alive: string | undefined }[];
}

/** A copy to make. */
export interface Import {
  readonly key: string;
  readonly sha256: string;
  /** Its key in this cluster's bucket. */
  readonly target: string;
}

/** A backup's key: whose, of which generation, and how new; the hash is of the file. */
const keyPattern =
  /^backups\/m[1-9][0-9]?\/(g\d{6})-(t\d{10}-i\d{16}-r\d{16}-\d{8}T\d{6}Z-([0-9a-f]{64})\.db)$/;

/**
 * What to copy where; throws when it must not be done. The copy bears generation 1, whatever it had where it comes from: a generation counts
 * for one cluster only, and what this cluster itself holds after the restore, from generation 2 on, must be newer for every roll call.
 */
export function decide({ uid, other, own, keys, key, members }: ImportFacts): Import {
  if (other.clusterUid !== uid) {
    throw new Error(
      `the bucket is of the cluster ${other.clusterUid}, not ${uid}; look where the data is to come from`,
    );
  }
  if (own.clusterUid === uid) {
    throw new Error(
      `${uid} is this cluster itself: its backups are there already, use restore.ts --copy`,
    );
  }
  if (own.generation !== 1 || own.source.kind !== "new") {
    throw new Error(
      `this cluster is of generation ${own.generation}, from a ${own.source.kind} source: another one's data can only begin a new cluster; make one`,
    );
  }
  const off = members.filter(({ alive }) => alive === undefined).length;
  const needed = Math.ceil(members.length / 2);
  if (off < needed || members.length === off) {
    const alive = members.flatMap(({ name, alive: why }) =>
      why === undefined ? [] : [`${name}: ${why}`],
    );
    throw new Error(
      `${off} of ${members.length} members are fenced; ${needed} must be, so that there is no quorum, and one must be left to restore (a cluster of one cannot): ${alive.join("; ")}`,
    );
  }
  const found = keys
    .map((each) => ({ each, parts: keyPattern.exec(each) }))
    .filter(({ each, parts }) => parts !== null && (key === undefined || each === key))
    .map(({ each, parts }) => ({ key: each, rank: `${parts?.[1]}-${parts?.[2]}`, parts }))
    .sort((a, b) => (a.rank < b.rank ? -1 : 1))
    .at(-1);
  if (found === undefined) {
    throw new Error(
      key === undefined
        ? "there is no backup in that bucket"
        : `${key} is not among the ${keys.length} backups in that bucket`,
    );
  }
  const [, , rest = "", sha256 = ""] = found.parts ?? [];
  return { key: found.key, sha256, target: `backups/m1/g000001-${rest}` };
}

async function recordOf(client: S3Client, bucket: string): Promise<RecordFacts> {
  const { Body } = await client.send(
    new GetObjectCommand({ Bucket: bucket, Key: "control/cluster.json" }),
  );
  const parsed = recordSchema.safeParse(JSON.parse((await Body?.transformToString()) ?? "null"));
  if (!parsed.success) {
    throw new Error(`control/cluster.json in ${bucket} is not a cluster's record`);
  }
  return parsed.data;
}

async function backupsIn(client: S3Client, bucket: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of paginateListObjectsV2(
    { client },
    { Bucket: bucket, Prefix: "backups/" },
  ))
    keys.push(...(page.Contents ?? []).map(({ Key }) => Key ?? ""));
  return keys;
}

/** Copies a backup by way of this machine, and proves its bytes by the hash in its name, before it is put and by S3 again. */
export async function copyBackup(
  client: S3Client,
  from: string,
  to: string,
  { key, sha256, target }: Import,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "etcd-import-"));
  try {
    const file = join(folder, "backup.db");
    const { Body } = await client.send(new GetObjectCommand({ Bucket: from, Key: key }));
    if (!(Body instanceof Readable)) throw new Error(`${key} has no content`);
    await pipeline(Body, createWriteStream(file, { mode: 0o600 }));
    const hash = createHash("sha256");
    await pipeline(createReadStream(file), hash);
    const digest = hash.digest();
    if (digest.toString("hex") !== sha256) {
      throw new Error(
        `${key} in ${from} has not the hash of its name; take another one with --key`,
      );
    }
    const { size } = await stat(file);
    if (size > largestBytes) throw new Error(`${key} has ${size} bytes, more than one put takes`);
    await client.send(
      new PutObjectCommand({
        ...{ Bucket: to, Key: target, Body: createReadStream(file), ContentLength: size },
        ...{ ChecksumSHA256: digest.toString("base64"), IfNoneMatch: "*" },
      }),
    );
  } catch (error) {
    // It was put before; the hash in its name says that it is the same.
    const isThere = error instanceof S3ServiceException && error.$metadata.httpStatusCode === 412;
    if (!isThere) throw error;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function importBackup(): Promise<number> {
  const { values } = options(usage, {
    from: { type: "string" },
    uid: { type: "string" },
    key: { type: "string" },
    confirm: { type: "string" },
    help: { type: "boolean" },
  } as const);
  if (values.help === true) {
    process.stdout.write(`${usage}\n`);
    return 0;
  }
  const { from, uid, key, confirm } = values;
  if (from === undefined || uid === undefined) {
    throw new UsageError(`--from and --uid are needed\nusage: ${usage}`);
  }
  const { members } = await readStack();
  const cluster = await clusterOf(members);
  if (confirm !== undefined && confirm !== cluster) {
    throw new Error(`this is the cluster ${cluster}, not ${confirm}`);
  }
  const { backupBucket } = z
    .object({ backupBucket: z.string().regex(/^[a-z0-9][a-z0-9.-]{2,62}$/) })
    .parse(JSON.parse(await pulumi("stack", "output", "--json")));
  const client = new S3Client({ followRegionRedirects: true });
  const wanted = decide({
    ...{ uid, key },
    other: await recordOf(client, from),
    own: await recordOf(client, backupBucket),
    keys: await backupsIn(client, from),
    members: await Promise.all(
      members.map(async (member) => ({ name: member.name, alive: await fencingProblem(member) })),
    ),
  });
  process.stdout.write(`${wanted.key}\nin ${from}, to be put into ${backupBucket} as\n`);
  if (confirm === undefined) {
    process.stdout.write(
      `${wanted.target}\n\nnothing was changed; to copy: --confirm ${cluster}\n`,
    );
    return 0;
  }
  await copyBackup(client, from, backupBucket, wanted);
  process.stderr.write(
    `go on with restore.ts --copy, or delete the copy: as long as it is there and ${cluster} is of generation 1, a roll call may choose it\n`,
  );
  // The last line is for scripts.
  process.stdout.write(`${wanted.target}\n`);
  return 0;
}

if (import.meta.main) await main("import-backup", importBackup);
