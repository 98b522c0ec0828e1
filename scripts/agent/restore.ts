import { chmod, rename, rm, rmdir } from "node:fs/promises";
import { join as joinPath } from "node:path";

import { installArtifacts } from "./artifacts";
import { WrongContent } from "./bucket";
import { dropIntent } from "./commit";
import { configOf, identityIn, startingOf, type Context } from "./context";
import { prepareBlank } from "./disk";
import { initialCluster } from "./environment";
import { readIfThere, syncFolder, writeDurably } from "./files";
import { peerUrlOf } from "./listed";
import { intentSchema } from "./marker";
import { paths } from "./paths";
import { step } from "./point";
import { join, type ClusterRecord } from "./record";
import { must } from "./run";
import { say } from "./say";
import { withScratch } from "./scratch";
import { stopEtcd } from "./service";
import { fetchVerified, restoreSnapshot } from "./sources";
import { letGo } from "./start";
import { announce } from "./state";

/**
 * A generation's first start from its source. Everything happens beside the data's place; only what is complete and durable is renamed
 * there. The intent lies beside it as well: until the rename, a machine that finds it knows that etcd never ran here.
 */
export async function restore(context: Context, record: ClusterRecord): Promise<void> {
  const { instanceId, volumeId } = context.facts.self;
  await stopEtcd();
  await installArtifacts(context.machine, configOf(context));
  await step("restore:format", () => prepareBlank(volumeId));
  if (!(await isRestored(record))) {
    await announce({ state: "starting", reason: `restores generation ${record.generation}` });
    if (!(await fetchAndRestore(context, record))) {
      return;
    }
    const intent = `${JSON.stringify(identityIn(context, record))}\n`;
    await step("restore:intent", () => writeDurably(paths.restoringIntent, intent));
  }
  const joined = await step("restore:join", () =>
    join(context.machine.bucket, startingOf(context), record.generation),
  );
  const marker = { ...identityIn(context, record), instanceId };
  await step("restore:marker", () =>
    writeDurably(joinPath(paths.restoring, "etcd-cluster.json"), `${JSON.stringify(marker)}\n`),
  );
  await step("restore:rename", async () => {
    // Nothing but an empty folder may be in the way; anything else makes the rename fail.
    await rmdir(paths.data).catch(() => undefined);
    await rename(paths.restoring, paths.data);
    await syncFolder(paths.mount);
  });
  await step("restore:dropIntent", dropIntent);
  await letGo(context, joined, "existing");
}

/** The intent is written last: with it, what is there is whole, and of this generation. */
async function isRestored({ clusterUid, generation }: ClusterRecord): Promise<boolean> {
  const text = await readIfThere(paths.restoringIntent);
  if (text === undefined) {
    return false;
  }
  const intent = intentSchema.parse(JSON.parse(text));
  return intent.clusterUid === clusterUid && intent.generation === generation;
}

/** Whether the source could be restored; if it is not what the record says, that is remembered. */
async function fetchAndRestore(context: Context, record: ClusterRecord): Promise<boolean> {
  const { source } = record;
  if (source.kind !== "snapshot") {
    throw new Error("this generation did not begin with a snapshot");
  }
  const { config } = context.desired;
  await rm(paths.restoring, { recursive: true, force: true });
  return withScratch(context.facts.self.volumeId, async (folder) => {
    const file = joinPath(folder, "source.db");
    try {
      await step("restore:fetch", () =>
        fetchVerified(context.machine.bucket, source, file, paths.etcdFolder),
      );
    } catch (error) {
      if (error instanceof WrongContent) {
        say(`the record's source cannot be used: ${error.message}`);
        context.memory.unreadable.add(source.sha256);
        return false;
      }
      throw error;
    }
    await step("restore:restore", () =>
      restoreSnapshot({
        file,
        dataDirectory: paths.restoring,
        etcdFolder: paths.etcdFolder,
        member: config.member,
        initialCluster: initialCluster(record, record.initial),
        peerUrl: peerUrlOf(config.address),
        token: record.token,
        bump: source.bump,
      }),
    );
    await must("chown", ["-R", "etcd:etcd", paths.restoring]);
    await chmod(paths.restoring, 0o700);
    // etcdutl syncs what it writes, but not the folders; before the rename everything must be there.
    await must("sync", ["--file-system", paths.mount], { timeoutSeconds: 120 });
    return true;
  });
}
