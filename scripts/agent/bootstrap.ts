import { setTimeout as sleep } from "node:timers/promises";

import { CaughtUp } from "./caughtUp";
import { converge, type Mode, type Outcome } from "./converge";
import { Refusal, until } from "./deadline";
import { readIfThere } from "./files";
import { instanceId } from "./imds";
import { withLock } from "./lock";
import { desiredState, thisMachine, type Desired, type Machine } from "./machine";
import { paths } from "./paths";
import { readRecord } from "./record";
import { reasonOf, say } from "./say";
import { announced, announcedInWords } from "./state";

/** What bootstrap prints. */
export type Bootstrapped =
  | {
      readonly member: string;
      readonly id: string;
      readonly clusterId: string;
      readonly role: "leader" | "follower";
      readonly version: string;
      readonly configSha256: string;
      readonly changed: boolean;
    }
  /** It was left alone, or is not back yet; which is not for this command to judge. */
  | {
      readonly member: string;
      readonly configSha256: string;
      readonly changed: boolean;
      readonly state: string;
    }
  /** The machine ends itself; the next one is to be asked again. */
  | {
      readonly member: string;
      readonly configSha256: string;
      readonly changed: true;
      readonly leaves: { readonly instanceId: string; readonly because: string };
    };

/** Longer than a round of the boot loop, which waits for a device. */
const lockSeconds = 60;

/** How long others may be elected, come back or catch up before a turn is refused. */
const patienceSeconds = 60;

/** How long a member that was repaired may take to be back, before the others' turns are decided on without it. */
const repairSeconds = 60;

/**
 * Brings this member to a desired state and waits until the next member's turn may count on it. If it is there already, nothing
 * changes. It waits for a quorum, not for every member: what comes later in Pulumi's order must not be waited for.
 */
export async function bootstrap(
  mode: Mode,
  sha256: string,
  timeoutSeconds: number,
): Promise<Bootstrapped> {
  const end = performance.now() + timeoutSeconds * 1000;
  const left = (): number => Math.max(0, (end - performance.now()) / 1000);
  const machine = await until(left(), thisMachine);
  const desired = await until(left(), () => desiredState(machine, sha256));
  const answer = { member: machine.member, configSha256: sha256 };
  if (mode === "repair") {
    return { ...answer, ...(await repair(machine, desired, Math.min(left(), repairSeconds))) };
  }
  const outcome = await untilItsTurn(machine, desired, mode, left);
  if (outcome.kind === "runs") {
    throw new Error(`${machine.member}: was left alone without a reason`);
  }
  if (outcome.kind === "leaves") {
    if (mode === "bootstrap") {
      throw new Error(`${machine.member}: this machine is still the one that leaves`);
    }
    const leaves = { instanceId: await instanceId(), because: outcome.because };
    return { ...answer, changed: true, leaves };
  }
  const member = new CaughtUp(desired.config);
  const status = await until(left(), async () => member.look(await rosterOf(machine, desired)), {
    onFailure: sayer(),
  });
  return {
    ...answer,
    id: status.id,
    clusterId: status.clusterId,
    role: status.leader === status.id ? "leader" : "follower",
    version: status.version,
    changed: outcome.changed,
  };
}

/** Lets another machine take this one's place, with the desired state that the member has now, if it is its turn. */
export async function replace(timeoutSeconds: number): Promise<Bootstrapped> {
  const approved = (await readIfThere(paths.approved))?.trim();
  if (approved === undefined) {
    throw new Error("this machine has no desired state yet; see what its agent waits for: status");
  }
  return bootstrap("replace", approved, timeoutSeconds);
}

/** Applies the desired state if etcd is down here. Never fails for what the member's state is: the others' turns judge that. */
async function repair(
  machine: Machine,
  desired: Desired,
  seconds: number,
): Promise<{ changed: boolean; state: string }> {
  let changed = false;
  const attempt = async (): Promise<void> => {
    // What lets it in is `resize`, which comes later.
    if ((await announced())?.wait === "roster") {
      throw new Refusal(await announcedInWords());
    }
    const outcome = await withLock(() => converge(machine, desired, "repair"), lockSeconds);
    changed ||= outcome.kind === "done" && outcome.changed;
    if (outcome.kind === "done") {
      await new CaughtUp(desired.config).look(await rosterOf(machine, desired));
    }
  };
  try {
    await until(seconds, attempt, { onFailure: sayer() });
  } catch (error) {
    return { changed, state: reasonOf(error) };
  }
  return { changed, state: await announcedInWords() };
}

/** Says what is new. */
function sayer(): (reason: string) => void {
  let said = "";
  return (reason) => {
    if (reason !== said) {
      said = reason;
      say(reason);
    }
  };
}

async function untilItsTurn(
  machine: Machine,
  desired: Desired,
  mode: Mode,
  left: () => number,
): Promise<Exclude<Outcome, { kind: "wait" }>> {
  const news = sayer();
  let patience: number | undefined;
  for (;;) {
    const outcome = await until(
      left(),
      () => withLock(() => converge(machine, desired, mode), lockSeconds),
      { onFailure: news },
    );
    if (outcome.kind !== "wait") {
      return outcome;
    }
    news(`waits for ${outcome.needs}`);
    patience ??= performance.now() + 1000 * Math.min(patienceSeconds, left());
    if (performance.now() >= patience) {
      throw new Refusal(
        `${machine.member}: refused, nothing was changed: it waited for ${outcome.needs}. Remedy: see who is not well and why (\`make status\`), bring that back, and run \`pulumi up\` again; it goes on here`,
      );
    }
    await sleep(1000);
  }
}

/** Without the bucket, the configured members are whose addresses are known. */
async function rosterOf(
  { bucket }: Machine,
  { config }: Desired,
): Promise<{ name: string; address: string; volumeId: string }[]> {
  const view = await readRecord(bucket);
  if (view.kind === "unreachable") {
    say(reasonOf(view.reason));
  }
  return view.kind === "present" ? view.record.roster : config.initialMembers;
}
