import assert from "node:assert/strict";
import { cpSync, mkdtempSync, openSync, closeSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { killEtcd } from "../../../lab/cli/fault/actions.ts";
import { machineOf } from "../../../lab/cli/fault/members.ts";
import {
  ensureEtcd,
  ensureNodeArchive,
  etcdPrograms,
  type BuildableEtcd,
} from "../../../lab/toolchain/artifacts.ts";
import { dieAt, listed, memberNow, on } from "../../faults/harness/machine.ts";
import { must, waitFor } from "../../lab/support.ts";
import { assertMeant } from "../harness/preview.ts";
import { roll, type Stage } from "../harness/roll.ts";
import type { Settings } from "../harness/stack.ts";
import { installed, traces } from "./trace.ts";
import { versionChange, versionSettings } from "./versions.ts";

const artifactsKey = "etcd-cluster:artifacts";
const [old, wanted] = ["3.6.14", "3.6.16"] as const;

/** Offset of the processor in an ELF file's header, and the number of one that is not this host's: AArch64. */
const elf = { offset: 18, otherProcessor: Buffer.from([0xb7, 0x00]) } as const;

/** An archive of etcd for machines of another kind: what is pinned when somebody takes the wrong line of a release's list. */
async function archiveForOthers(version: BuildableEtcd, folder: string): Promise<string> {
  const entry = await ensureEtcd(version, () => undefined);
  const programs = etcdPrograms(entry, version);
  const name = programs.slice(entry.length + 1);
  cpSync(programs, join(folder, name), { recursive: true });
  for (const program of ["etcd", "etcdctl", "etcdutl"]) {
    const file = openSync(join(folder, name, program), "r+");
    assert.equal(readSync(file, Buffer.alloc(4), 0, 4, 0), 4);
    writeSync(file, elf.otherProcessor, 0, 2, elf.offset);
    closeSync(file);
  }
  const archive = join(folder, "etcd.tar.gz");
  await must("tar", ["-c", "-z", "-f", archive, "-C", folder, name], { timeoutSeconds: 120 });
  return archive;
}

/** The settings of a stack that pins an archive of etcd. */
async function withArchive(version: BuildableEtcd, path: string): Promise<Settings> {
  const node = join(await ensureNodeArchive(() => undefined), "node.tar.gz");
  return {
    ...versionSettings(version),
    [artifactsKey]: { node: { path: node }, etcd: { path } },
  };
}

/** A turn that goes wrong: m1 is given an etcd that cannot run here. The others keep what they have, and go on. */
async function wrongArchive({ stack }: Stage): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "etcd-build-"));
  try {
    const { m1: had, ...others } = await traces(stack);
    stack.set(await withArchive(wanted, await archiveForOthers(wanted, folder)));
    await stack.refusedUp(/m1: etcd does not come back with the desired state/);
    const { m1: has, ...untouched } = await traces(stack);
    assert.deepEqual(untouched, others);
    assert.notEqual(has?.approved, had?.approved);
    assert.equal(has?.etcd, undefined, "m1 runs");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** m1's turn ends after its pointer was moved, and before anything else: etcd runs on as it was, and its next machine would be another. */
async function leftHalfWay({ stack }: Stage): Promise<void> {
  const { m1: had, ...others } = await traces(stack);
  dieAt(machineOf(await memberNow(stack.cluster, "m1")).root ?? "", "converge:approve:after");
  await stack.refusedUp(/etcd-m1-converge/);
  const { m1: has, ...untouched } = await traces(stack);
  assert.deepEqual(untouched, others);
  assert.equal(has?.etcd, had?.etcd);
  assert.notEqual(has?.approved, had?.approved);
}

/** m2's etcd lies in pieces on its disk and cannot start; m1's turn comes first, and all others have to be well for it. */
async function breakProgram({ stack }: Stage): Promise<void> {
  const second = await memberNow(stack.cluster, "m2");
  const program = `/opt/etcd-cluster/etcd/${await installed(second)}/etcd`;
  await on(second, ["install", "-m", "0755", "/dev/null", program]);
  await killEtcd([second]);
  await waitFor("m2's etcd to fail again and again", 60, async () => {
    const { stdout } = await on(second, [
      ...["systemctl", "show", "--property=NRestarts", "--value", "etcd.service"],
    ]);
    return Number(stdout) >= 3 ? true : undefined;
  });
}

/** A member's id; another one after it has joined again. */
async function idOf({ stack }: Stage, name: string): Promise<string | undefined> {
  return (await listed(await memberNow(stack.cluster, "m3"), name))?.id;
}

const change = versionChange(wanted);

/** What was there before is wanted again: all commands run, and nothing is left of what was tried. */
async function takenBack({ stack }: Stage): Promise<void> {
  stack.set({ [artifactsKey]: undefined, ...versionSettings(old) });
  assertMeant(await stack.preview(), change.preview);
  await stack.apply();
}

/** Members that are broken before their turn, and whom the new desired state repairs. */
export function repairRolls(): void {
  roll({
    ...change,
    name: "broken",
    what: "m2's etcd cannot start any more; a roll to another version repairs it, although m1's turn is first",
    given: versionSettings(old),
    prepare: breakProgram,
    // One more than a roll's: m2 may lead when its etcd ends.
    leaderChanges: 3,
  });
  let before: Awaited<ReturnType<typeof traces>> = {};
  const approved = (all: typeof before): string[] =>
    Object.values(all).map((each) => each.approved);
  roll({
    ...change,
    name: "taken-back",
    what: "m1's turn ends half-way, then it is given an etcd that cannot run; each time all is taken back",
    given: versionSettings(old),
    prepare: async ({ stack }) => {
      before = await traces(stack);
    },
    act: async (stage) => {
      const id = await idOf(stage, "m1");
      await leftHalfWay(stage);
      await takenBack(stage);
      assert.deepEqual(approved(await traces(stage.stack)), approved(before));
      await wrongArchive(stage);
      await takenBack(stage);
      assert.deepEqual(approved(await traces(stage.stack)), approved(before));
      assert.equal(await idOf(stage, "m1"), id, "m1 gave up its data because of a program");
    },
    check: versionChange(old).check,
    // One for each attempt: m1 may lead.
    leaderChanges: 4,
  });
}
