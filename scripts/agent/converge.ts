import { canonicalJson } from "../../components/plan/canonicalJson";
import type { MemberConfig } from "../../components/plan/memberConfig";
import { refuseAuthorities, refuseDropping } from "./authorities";
import { fetchArtifacts, installAgent, installArtifacts } from "./artifacts";
import { takeBackup } from "./backup";
import { Refusal } from "./deadline";
import { volumeInUse } from "./disk";
import { growToDesired } from "./grow";
import { etcdEnvironmentFile } from "./environment";
import { prepareVersion } from "./etcdctl";
import { readIfThere, writeDurably } from "./files";
import { handOver } from "./handOver";
import { askToLeave, leaving, mayTerminate, whyToLeave } from "./leave";
import { approve, desiredState, type Desired, type Machine } from "./machine";
import { paths } from "./paths";
import { step } from "./point";
import { readRecord, type ClusterRecord } from "./record";
import { reasonOf, say } from "./say";
import { installPki } from "./secrets";
import { etcdState, restartEtcd, startEtcd } from "./service";
import { announcedInWords } from "./state";
import { turn, type Change } from "./turn";
import { turnFacts } from "./turnFacts";

/** What came of one look at a member that is to be brought to a desired state. */
export type Outcome =
  /** It is there; `changed` if it was not before. */
  | { readonly kind: "done"; readonly changed: boolean }
  /** Not now; it may become possible within seconds. */
  | { readonly kind: "wait"; readonly needs: string }
  /** It was left alone: its etcd runs, and this is not its turn. */
  | { readonly kind: "runs" }
  /** This machine ends itself, and another one comes up with the desired state. */
  | { readonly kind: "leaves"; readonly because: string };

/** How far a command may go. */
export type Mode =
  /** Only where etcd is down: everybody at once, before anybody's turn, because a broken member would keep all others waiting. */
  | "repair"
  /** In its turn. */
  | "converge"
  /** As `converge`, but on this machine: after another one took its place. */
  | "bootstrap"
  /** In its turn, to the desired state that it has, on another machine. */
  | "replace";

/** Hash of the desired state that etcd's settings were last made from. */
async function applied(): Promise<string | undefined> {
  return (await readIfThere(paths.applied))?.trim();
}

/**
 * Brings this machine's member to a desired state, if it is its turn. The caller holds the machine's lock. Everything that may be
 * interrupted is done again by the next call: what was approved but not applied is a difference like any other.
 *
 * The order: nothing changes before the turn is granted and everything needed is on the machine; a backup before another version; the
 * pointer before the first effect, so that a machine that dies from here on boots what it was on its way to.
 */
export async function converge(machine: Machine, desired: Desired, mode: Mode): Promise<Outcome> {
  const because = await leaving();
  if (because !== undefined) {
    return { kind: "leaves", because };
  }
  const running = (await etcdState()) === "active";
  if (mode === "repair" && running) {
    return { kind: "runs" };
  }
  const before = await applied();
  const approved = (await readIfThere(paths.approved))?.trim() ?? "";
  const replaced = mode === "replace" ? "it was asked for" : await whyToLeave(desired.config);
  // Not when something else was approved meanwhile and left half-way: then the way back is a change as well.
  if (before === desired.sha256 && approved === desired.sha256 && replaced === undefined) {
    return { kind: "done", changed: false };
  }
  if (before === undefined && approved === desired.sha256) {
    // This machine has never started etcd: its agent is on the way there.
    throw new Error(`${machine.member}: the agent applies it: ${await announcedInWords()}`);
  }
  if (mode === "bootstrap" && replaced !== undefined) {
    throw new Refusal(
      `${machine.member}: this machine is not the one that is wanted, and it is new: ${replaced}`,
    );
  }
  const { config: old } = await desiredState(machine, before ?? approved);
  refuseOtherIdentity(old, desired.config, await volumeInUse());
  refuseAuthorities(old, desired.config);
  const view = await readRecord(machine.bucket);
  if (view.kind !== "present") {
    throw new Error(view.kind === "absent" ? "there is no cluster record" : view.reason);
  }
  await refuseDropping(old, desired.config, view.record);
  // An attempt at something else was left half-way: what etcd's settings are now is neither the one nor the other.
  const unfinished = before !== undefined && approved !== before && approved !== desired.sha256;
  const means = changeOf(old, desired.config, replaced);
  const change = { ...means, restart: means.restart || unfinished };
  const decision = turn(await turnFacts(desired.config, view.record, change, running));
  switch (decision.kind) {
    case "wait":
      return decision;
    case "refuse":
      throw new Refusal(`${machine.member}: refused, nothing was changed: ${decision.reason}`);
    case "apply": {
      if (decision.outage) {
        say("this is the only member: nobody is served while it restarts");
      }
      const { first } = decision;
      if (first !== undefined) {
        await orRefuse("etcd refuses to go down", () => prepareVersion(first));
        return {
          kind: "wait",
          needs: `etcd to have done what it was told: ${first.kind}`,
        };
      }
      return apply(machine, desired, view.record, change, running);
    }
  }
}

/** What a step from one desired state to another means to the member. */
export function changeOf(
  old: MemberConfig,
  desired: MemberConfig,
  replaced: string | undefined,
): Change {
  const quota = ({ etcd }: MemberConfig): number =>
    Number(etcd.environment["ETCD_QUOTA_BACKEND_BYTES"] ?? 0);
  // Of all certificates etcd reads only those of the roots when it starts, and at no other time.
  const read = ({ etcd, artifacts, certificates }: MemberConfig): string =>
    canonicalJson([etcd, artifacts.etcd, certificates.clientCa, certificates.peerCa]);
  return {
    restart: read(old) !== read(desired),
    ...(replaced === undefined ? {} : { machine: replaced }),
    version: { from: old.artifacts.etcd.version, to: desired.artifacts.etcd.version },
    moreQuota: quota(desired) > quota(old),
    grows: desired.volume.sizeGiB > old.volume.sizeGiB,
    certificates: canonicalJson(old.certificates) !== canonicalJson(desired.certificates),
  };
}

async function apply(
  machine: Machine,
  desired: Desired,
  record: ClusterRecord,
  change: Change,
  running: boolean,
): Promise<Outcome> {
  const { config, sha256 } = desired;
  if (change.machine !== undefined) {
    await mayTerminate(machine);
  }
  await fetchArtifacts(machine, config);
  if (change.grows) {
    await orRefuse(`${config.member}: its file system does not grow`, () =>
      step("converge:grow", () => growToDesired(config)),
    );
  }
  if (running && change.version.from !== change.version.to) {
    // What another version writes, this one may not be able to read again.
    await step("converge:backup", () => takeBackup(machine, "planned"));
  }
  await installAgent(config);
  await step("converge:approve", () => approveOnce(machine, sha256));
  if ((await applied()) === undefined) {
    throw new Error(`${machine.member}: is approved, and the agent applies it`);
  }
  if (change.machine !== undefined) {
    await askToLeave(change.machine);
    return { kind: "leaves", because: change.machine };
  }
  await step("converge:install", async () => {
    await installArtifacts(machine, config);
    await installPki(machine.clients, config);
    await writeDurably(paths.etcdEnvironment, etcdEnvironmentFile(config, record, "existing"));
  });
  if (change.restart) {
    await restart(config, record, running);
  }
  await step("converge:applied", () => writeDurably(paths.applied, `${sha256}\n`));
  return { kind: "done", changed: true };
}

async function restart(
  config: MemberConfig,
  record: ClusterRecord,
  running: boolean,
): Promise<void> {
  if (running) {
    await step("converge:handOver", () => handOver(config, record));
    await orRefuse(`${config.member}: etcd does not come back with the desired state`, () =>
      step("converge:restart", restartEtcd),
    );
  } else if ((await readIfThere(paths.permit)) !== undefined) {
    // It was allowed to run and does not, perhaps because of the very settings that were exchanged. Otherwise the agent starts it.
    await step("converge:restart", startEtcd);
  }
}

/** What trying again does not change: the next run, with something else, is to. */
async function orRefuse(words: string, action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    throw new Refusal(`${words}: ${reasonOf(error)}`);
  }
}

async function approveOnce(machine: Machine, sha256: string): Promise<void> {
  if ((await readIfThere(paths.approved))?.trim() !== sha256) {
    await approve(machine, sha256);
  }
}

/** Identity outlives desired states: another address or volume is another member, or another operation than this one. */
function refuseOtherIdentity(
  old: MemberConfig,
  desired: MemberConfig,
  usedVolume: string | undefined,
): void {
  for (const field of ["cluster", "region", "bucket", "member", "zone", "address"] as const) {
    if (old[field] !== desired[field]) {
      throw new Refusal(
        `${old.member}: its ${field} cannot change from ${old[field]} to ${desired[field]}`,
      );
    }
  }
  // The one in use may be another than the configured one already: what replaces a lost volume is configured afterwards.
  const used = usedVolume ?? old.volume.id;
  if (desired.volume.id !== old.volume.id && desired.volume.id !== used) {
    throw new Refusal(
      `${old.member}: its volume ${used} is in use; it is exchanged for ${desired.volume.id} only when etcd is down`,
    );
  }
}
