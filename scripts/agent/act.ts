import { attest } from "./attest";
import type { Context } from "./context";
import { createVolume } from "./createVolume";
import { agentTls } from "./etcd";
import type { Action } from "./facts";
import { formFirst, rejoin } from "./form";
import { hold, setAside } from "./hold";
import { promote } from "./learner";
import { rosterOf } from "./live";
import { step } from "./point";
import { propose } from "./propose";
import { createRecord } from "./record";
import { callRoll, closeRoll, report } from "./report";
import { restore } from "./restore";
import { start } from "./start";
import { announce } from "./state";

/** Does what was decided. Whatever fails is thrown, and decided anew. */
export async function act(action: Action, context: Context): Promise<void> {
  const { bucket } = context.machine;
  switch (action.kind) {
    case "idle":
      return;
    case "createRecord":
      await step("createRecord:put", () => createRecord(bucket, context.desired.config));
      return;
    case "createVolume":
      return createVolume(context);
    case "formFirst":
      return formFirst(context, action.record);
    case "restore":
      return restore(context, action.record);
    case "rejoin":
      return rejoin(context, action.record);
    case "start":
      return start(context, action);
    case "promote":
      return askForVote(context);
    case "setAside":
      await announce({ state: "starting", reason: `sets its data aside: ${action.because}` });
      return setAside(action.generation);
    case "report":
      return report(context, action.record, action.holds);
    case "callRoll":
      return callRoll(context, action.record);
    case "closeRoll":
      return closeRoll(context, action.record, action.because);
    case "hold":
      await announce({
        state: "waiting",
        wait: "rollCall",
        reason: `stops etcd for the roll call of epoch ${action.epoch}`,
      });
      return hold(action.epoch);
    case "attest":
      return attest(context, action.record);
    case "propose":
      await announce({
        state: "waiting",
        wait: "rollCall",
        reason: `makes a source of generation ${action.record.generation + 1}: ${action.source.kind}`,
      });
      return propose(context, action.record, action.source);
    case "wait":
      return announce({
        state: "waiting",
        wait: action.name,
        reason: `waits for ${action.needs}`,
      });
    case "refuse":
      return announce({ state: "refused", reason: action.reason });
  }
}

async function askForVote({ desired, facts, status }: Context): Promise<void> {
  if (status === undefined) {
    return;
  }
  const roster = rosterOf(desired.config, facts.record);
  const tls = await agentTls();
  const reason = await step("promote:ask", () => promote(desired.config, roster, tls, status.id));
  await announce(
    reason === undefined
      ? { state: "running" }
      : { state: "waiting", wait: "caughtUp", reason: `is a learner; no vote yet: ${reason}` },
  );
}
