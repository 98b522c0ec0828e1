import assert from "node:assert/strict";
import { join } from "node:path";
import { must, repository, run, type Outcome } from "../../lab/support.ts";

const quiet = ["--yes", "--skip-preview", "--non-interactive", "--color", "never"] as const;

/** A Pulumi project outside the checkout with its stack `dev` in the lab, and what a person does with it. */
export class ExampleStack {
  /** Where the project is. */
  readonly folder: string;
  /** What `make env` exports. */
  readonly environment: Record<string, string>;

  constructor(folder: string, environment: Record<string, string>) {
    this.folder = folder;
    this.environment = environment;
  }

  /** Pulumi in the project's folder; it must succeed. */
  pulumi(args: readonly string[], timeoutSeconds = 60): Promise<Outcome> {
    return must("pulumi", args, { ...this.#place, timeoutSeconds });
  }

  /** `pulumi up`, which must succeed. */
  up(timeoutSeconds = 600): Promise<Outcome> {
    return this.pulumi(["up", ...quiet], timeoutSeconds);
  }

  /** `pulumi up` that must find nothing to do. */
  async upWithoutChange(): Promise<void> {
    await this.pulumi(["up", ...quiet, "--expect-no-changes"], 300);
  }

  /** What a `pulumi preview` says that must be refused. */
  async refusedPreview(): Promise<string> {
    const outcome = await run("pulumi", ["preview", "--non-interactive", "--color", "never"], {
      ...this.#place,
      timeoutSeconds: 120,
    });
    assert.notEqual(outcome.code, 0, `not refused:\n${outcome.stdout}`);
    return outcome.stdout + outcome.stderr;
  }

  /** `pulumi destroy`, which must succeed. */
  destroy(): Promise<Outcome> {
    return this.pulumi(["destroy", ...quiet], 300);
  }

  /** Sets a value of the project's config. */
  async set(key: string, value: string, secret = false): Promise<void> {
    await must("pulumi", ["config", "set", ...(secret ? ["--secret"] : []), "--", key], {
      ...this.#place,
      // Not an argument: a secret would be seen by everybody.
      input: value,
    });
  }

  /** Sets a list or an object of the project's config. */
  async setPath(path: string, value: string): Promise<void> {
    await this.pulumi(["config", "set", "--path", path, value]);
  }

  /** The stack's outputs, secrets in clear. */
  async outputs(): Promise<Record<string, unknown>> {
    const { stdout } = await this.pulumi(["stack", "output", "--json", "--show-secrets"]);
    return JSON.parse(stdout) as Record<string, unknown>;
  }

  /** etcdctl on a member, by the operator's script, which finds a stack's only cluster in its state. */
  async etcdctl(...args: readonly string[]): Promise<string> {
    const script = join(repository, "scripts", "operator", "etcdctl.ts");
    const outcome = await must("node", [script, "--", ...args], this.#place);
    return outcome.stdout;
  }

  /** A shell block of the example's README, in the project's folder; it must succeed. */
  shell(block: string, timeoutSeconds = 120): Promise<Outcome> {
    return must("bash", ["-euo", "pipefail", "-c", block], { ...this.#place, timeoutSeconds });
  }

  get #place() {
    return { cwd: this.folder, env: this.environment };
  }
}
