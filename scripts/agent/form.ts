import { identityIn, startingOf, type Context } from "./context";
import { makeDataDirectory, prepareBlank, writeIntent, writeMarker } from "./disk";
import { agentTls } from "./etcd";
import { replaceByLearner } from "./learner";
import { step } from "./point";
import { join, type ClusterRecord } from "./record";
import { stopEtcd } from "./service";
import { letGo } from "./start";
import { announce } from "./state";

/** The two ways to start etcd on an empty volume: as one of a generation's first, and as a learner. */

/** One of the first: forms the generation together with the others of `initial`. */
export async function formFirst(context: Context, record: ClusterRecord): Promise<void> {
  const { instanceId, volumeId } = context.facts.self;
  const identity = identityIn(context, record);
  // One that is on its way and never came to a log would write one in the middle of this.
  await stopEtcd();
  await step("formFirst:format", () => prepareBlank(volumeId));
  await step("formFirst:intent", () => writeIntent(identity));
  const joined = await step("formFirst:join", () =>
    join(context.machine.bucket, startingOf(context), record.generation),
  );
  await step("formFirst:marker", () => writeMarker({ ...identity, instanceId }));
  await letGo(context, joined, "new");
}

/**
 * Comes back without data. No intent here: until the old entry is gone, whoever finds this volume must not take its emptiness for a
 * first start. A marker without a log says the same as lost data, and leads back here.
 */
export async function rejoin(context: Context, record: ClusterRecord): Promise<void> {
  const { instanceId, volumeId } = context.facts.self;
  await stopEtcd();
  await step("rejoin:format", () => prepareBlank(volumeId));
  await makeDataDirectory();
  await step("rejoin:marker", () => writeMarker({ ...identityIn(context, record), instanceId }));
  const joined = await step("rejoin:join", () =>
    join(context.machine.bucket, startingOf(context), record.generation),
  );
  await announce({ state: "starting", reason: "re-joins as a learner: its data is gone" });
  await step("rejoin:learner", async () =>
    replaceByLearner(context.desired.config, joined.roster, await agentTls()),
  );
  await letGo(context, joined, "existing");
}
