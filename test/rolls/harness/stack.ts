import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { Cluster, configFile, writeConfig, type TestStack } from "../../faults/harness/cluster.ts";
import { must, repository, run } from "../../lab/support.ts";
import { changesOf, type Change } from "./preview.ts";
import { PulumiUp, type UpEnding } from "./pulumiUp.ts";

/** Settings of the stack by their full keys, `etcd-cluster:size`; undefined takes one back to the program's default. */
export type Settings = Readonly<Record<string, unknown>>;

/** The stack of the rolls: the cheap one. Recovery is quick, so that a roll which loses a quorum shows it by a new generation. */
const rollsStack: TestStack = {
  name: "rolls",
  settings: {
    "etcd-cluster:clusterName": "etcd-rolls",
    "etcd-cluster:size": 3,
    "etcd-cluster:backendQuotaGiB": 1,
    "etcd-cluster:recovery": { quorumLossSeconds: 10, volumeLossSeconds: 30 },
  },
  keep: process.env["ROLL_KEEP"] === "1",
};

/** Where its config is. */
export const rollsConfig = configFile(rollsStack);

/** The lab's stack that all rolls share, and what a person does with it. */
export class RollStack {
  readonly cluster: Cluster;
  #settings: Settings = rollsStack.settings;
  #program = repository;

  private constructor(cluster: Cluster) {
    this.cluster = cluster;
  }

  /** Brings the lab up. `ROLL_KEEP=1` takes one that runs already, and leaves it. */
  static async up(): Promise<RollStack> {
    return new RollStack(await Cluster.up(rollsStack));
  }

  /** Takes the lab down, and makes sure that nothing is left of it. */
  static async down(): Promise<void> {
    await Cluster.down(rollsStack);
  }

  /** The settings that differ from the tracked dev stack. */
  get settings(): Settings {
    return this.#settings;
  }

  /** Whether settings are as they are given here. */
  has(settings: Settings): boolean {
    return Object.entries(settings).every(([key, value]) =>
      isDeepStrictEqual(this.#settings[key], value),
    );
  }

  /** Changes settings; nothing happens before an `up`. */
  set(change: Settings): void {
    const all = { ...this.#settings, ...change };
    this.#settings = Object.fromEntries(
      Object.entries(all).filter(([, value]) => value !== undefined),
    );
    writeConfig(rollsStack, this.#settings);
  }

  /** Takes another release of the program from now on, by the folder that it is in; undefined goes back to this checkout. */
  useProgram(folder: string | undefined): void {
    this.#program = folder ?? repository;
  }

  /** What an `up` would change. */
  async preview(): Promise<Change[]> {
    const { stdout } = await must(
      "pulumi",
      ["preview", "--json", "--non-interactive", "--color", "never"],
      { cwd: this.#program, env: this.cluster.environment, timeoutSeconds: 300 },
    );
    return changesOf(stdout);
  }

  /** The message with which a preview is refused; a preview that is not refused is an error. */
  async refusedPreview(): Promise<string> {
    const outcome = await run("pulumi", ["preview", "--non-interactive", "--color", "never"], {
      cwd: this.#program,
      env: this.cluster.environment,
      timeoutSeconds: 300,
    });
    assert.notEqual(outcome.code, 0, `not refused:\n${outcome.stdout}`);
    return outcome.stdout + outcome.stderr;
  }

  /** Starts `pulumi up`. */
  start(): PulumiUp {
    return new PulumiUp(this.#program, this.cluster.environment);
  }

  /** `pulumi up`, which must succeed. */
  async apply(): Promise<UpEnding> {
    const ending = await this.start().end();
    assert.equal(ending.code, 0, ending.output);
    await this.cluster.reload();
    return ending;
  }

  /** `pulumi up`, which must fail and say so. */
  async refusedUp(message: RegExp): Promise<UpEnding> {
    const ending = await this.start().end();
    assert.notEqual(ending.code, 0, `not refused:\n${ending.output}`);
    assert.match(ending.output, message);
    return ending;
  }

  /** Hands leadership to a member, as an operator would. */
  async leadBy(name: string): Promise<void> {
    const etcdctl = (...args: string[]) =>
      must("node", ["scripts/operator/etcdctl.ts", "--", ...args], {
        env: this.cluster.environment,
        timeoutSeconds: 60,
      });
    const { stdout } = await etcdctl("member", "list");
    const id = stdout
      .split("\n")
      .map((line) => line.split(", "))
      .find((fields) => fields[2] === name)?.[0];
    assert.ok(id, `${name} is not in the list:\n${stdout}`);
    if ((await this.cluster.roles()).leader.name !== name) await etcdctl("move-leader", id);
  }

  /** What an operator does after a `pulumi up` that was killed. */
  async recover(): Promise<string> {
    const { stdout } = await must("node", ["scripts/operator/recover-state.ts", "--apply"], {
      env: this.cluster.environment,
      timeoutSeconds: 300,
    });
    return stdout;
  }
}
