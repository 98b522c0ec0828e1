import type { MemberConfig } from "../../components/plan/memberConfig";
import { installArtifacts } from "./artifacts";
import { dropIntent } from "./commit";
import { configOf, startingOf, type Context } from "./context";
import { writeMarker } from "./disk";
import { etcdEnvironmentFile, type StartAs } from "./environment";
import type { Action } from "./facts";
import { readIfThere, writeDurably } from "./files";
import { growFileSystem } from "./grow";
import { release } from "./hold";
import { paths } from "./paths";
import { step } from "./point";
import { join, type ClusterRecord } from "./record";
import { startEtcd } from "./service";
import { reasonOf, say } from "./say";
import { announce } from "./state";

/** Starts etcd on the data that is there. */
export async function start(
  context: Context,
  { record, marker }: Extract<Action, { kind: "start" }>,
): Promise<void> {
  if (record === undefined) {
    await startWithoutRecord();
    return;
  }
  const joined = await step("start:join", () =>
    join(context.machine.bucket, startingOf(context), record.generation),
  );
  const { instanceId } = context.facts.self;
  await step("start:marker", () => writeMarker({ ...marker, instanceId }));
  await release(joined.epoch);
  // Its proof holds for the first start only.
  await step("start:dropIntent", dropIntent);
  await letGo(context, joined, "existing");
}

/** The settings are those of the last start: nothing can be asked for. */
async function startWithoutRecord(): Promise<void> {
  if ((await readIfThere(paths.etcdEnvironment)) === undefined) {
    throw new Error("etcd's settings are not on this machine yet, and the bucket cannot be asked");
  }
  await announce({ state: "starting", reason: "without the cluster record" });
  await step("start:etcd", startEtcd);
}

/** Puts everything in place that etcd needs, and lets it start. */
export async function letGo(
  context: Context,
  record: ClusterRecord,
  startAs: StartAs,
): Promise<void> {
  const config = configOf(context);
  await step("start:artifacts", () => installArtifacts(context.machine, config));
  await step("start:settings", async () => {
    await writeDurably(paths.etcdEnvironment, etcdEnvironmentFile(config, record, startAs));
    await writeDurably(paths.applied, `${context.desired.sha256}\n`);
  });
  await grow(config);
  await announce({ state: "starting", reason: `etcd, generation ${record.generation}` });
  await step("start:etcd", startEtcd);
}

/** A volume may have grown while nobody had it mounted. etcd runs without the room as well. */
async function grow(config: MemberConfig): Promise<void> {
  try {
    await growFileSystem(config);
  } catch (error) {
    say(`the file system does not grow: ${reasonOf(error)}`);
  }
}
