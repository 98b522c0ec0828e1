import assert from "node:assert/strict";
import { join } from "node:path";
import { GetObjectCommand, ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import { must, repository, run, type Outcome } from "../lab/support.ts";
import { example } from "./harness/example.ts";
import { ExampleStack } from "./harness/stack.ts";

/** Keys that the first cluster has when the backup is taken. */
const count = 12;

async function operator(
  stack: ExampleStack,
  script: string,
  ...args: readonly string[]
): Promise<string> {
  const { stdout } = await must("node", scriptAndArgs(script, args), place(stack));
  return stdout.trim();
}

const scriptAndArgs = (script: string, args: readonly string[]): string[] => [
  join(repository, "scripts", "operator", `${script}.ts`),
  ...args,
];

const place = ({ folder, environment }: ExampleStack) => ({
  cwd: folder,
  env: environment,
  timeoutSeconds: 600,
});

async function recordOf(bucket: string): Promise<{ clusterUid: string; generation: number }> {
  const { Body } = await new S3Client().send(
    new GetObjectCommand({ Bucket: bucket, Key: "control/cluster.json" }),
  );
  return JSON.parse((await Body?.transformToString()) ?? "") as never;
}

async function objects(bucket: string, prefix: string): Promise<string[]> {
  const { Contents } = await new S3Client().send(
    new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix }),
  );
  return (Contents ?? []).map(({ Key = "" }) => Key);
}

/** All keys below a prefix, with their values, as etcdctl prints them. */
const all = async (stack: ExampleStack): Promise<string> =>
  stack.etcdctl("get", "/orders/", "--prefix");

/** The new cluster has every key of the backup, and nothing of what came later; the first one goes on as if nothing had been. */
example("restore-into-new-cluster", async (first) => {
  const keys = Array.from({ length: count }, (_, at) => `/orders/${String(at).padStart(2, "0")}`);
  await Promise.all(keys.map((key) => first.etcdctl("put", key, `value of ${key}`)));
  const expected = await all(first);
  assert.equal(expected.split("\n").length, 2 * count);
  const key = await operator(first, "backup");
  await first.etcdctl("put", "/orders/late", "after the backup");

  const old = (await first.outputs())["backupBucket"] as string;
  const before = await recordOf(old);

  const second = new ExampleStack(first.folder, {
    ...first.environment,
    PULUMI_STACK: "second",
  });
  await second.pulumi(["stack", "init", "second"]);
  await second.up();
  try {
    const bucket = (await second.outputs())["backupBucket"] as string;
    const born = await recordOf(bucket);
    assert.notEqual(born.clusterUid, before.clusterUid);
    const wish = ["--from", old, "--uid", before.clusterUid, "--key", key];

    // While it serves, nothing is put.
    const refused: Outcome = await run(
      "node",
      scriptAndArgs("import-backup", [...wish, "--confirm", "orders-new"]),
      place(second),
    );
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /0 of 3 members are fenced/);
    assert.ok((await objects(bucket, "backups/")).every((each) => !each.includes(key.slice(-67))));

    await operator(second, "fence", "--members", "m2,m3", "--confirm", "orders-new");
    const put = await operator(second, "import-backup", ...wish, "--confirm", "orders-new");
    const copy = put.split("\n").at(-1) ?? "";
    const restore = ["--fenced", "m2,m3", "--copy", copy];
    await operator(second, "restore", ...restore, "--confirm", "orders-new");
    await operator(second, "fence", "--members", "m2,m3", "--release");
    await operator(second, "verify", "--timeout-seconds", "300");

    assert.equal(await all(second), expected);
    const now = await recordOf(bucket);
    assert.equal(now.clusterUid, born.clusterUid);
    assert.equal(now.generation, 2);
    await second.etcdctl("put", "/orders/00", "of the new cluster");
    await second.upWithoutChange();
  } finally {
    await second.destroy();
    await second.pulumi(["stack", "rm", "--yes", "second"]);
  }
  assert.equal(await all(first), `${expected}\n/orders/late\nafter the backup`);
  assert.deepEqual(await recordOf(old), before);
});
