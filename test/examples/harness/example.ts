import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { after, test, type TestContext } from "node:test";
import { labMachines } from "../../../lab/cli/fault/members.ts";
import { inventory } from "../../../lab/machines/inventory.ts";
import { inside, labEnvironment, make, waitFor } from "../../lab/support.ts";
import { account } from "./account.ts";
import { copyOut, exampleFolder } from "./project.ts";
import { ExampleStack } from "./stack.ts";

/** What is done with an example between its `up` and its end. */
export type Body = (stack: ExampleStack, context: TestContext) => Promise<void>;

/** What an example may ask for beside the ordinary. */
export interface ExampleOptions {
  /** Where its project is; the folder of its name in examples/ unless it is said. */
  readonly project?: string;
  /** What is done before the first `up`. */
  readonly prepare?: Body;
  /** The longest that its first `up` takes, in seconds; 600 unless it is said. */
  readonly upSeconds?: number;
}

/** Whether the lab is left to the next example. */
const keep = process.env["EXAMPLE_KEEP"] === "1";

async function down(): Promise<void> {
  const outcome = await make("down", {}, 180);
  assert.equal(outcome.code, 0, outcome.stdout + outcome.stderr);
}

/** The lab, which is started unless it runs: with nothing in it but what belongs to every account. */
async function lab(): Promise<Record<string, string>> {
  const outcome = await make("lab", {}, 1800);
  assert.equal(outcome.code, 0, outcome.stdout + outcome.stderr);
  return labEnvironment();
}

/**
 * Registers the test of an example: a copy of its project outside the checkout, with the packed component, is built in the lab, looked at by
 * the body, built again, which must change nothing, and destroyed, after which nothing may be left.
 */
export function example(name: string, body: Body, options: ExampleOptions = {}): void {
  after(async () => {
    if (keep) return;
    await down();
    for (const [kind, things] of Object.entries(inventory())) assert.deepEqual(things, [], kind);
  });
  test(`example ${name}`, async (context) => {
    const environment = await lab();
    Object.assign(process.env, awsOf(environment));
    const folder = await copyOut(options.project ?? join(exampleFolder, name));
    const stack = new ExampleStack(folder, environment);
    const timed = async (what: string, work: () => Promise<unknown>): Promise<void> => {
      const started = performance.now();
      await work();
      const seconds = (performance.now() - started) / 1000;
      context.diagnostic(`${name}: ${what} took ${seconds.toFixed(0)} s`);
    };
    const before = await account();
    try {
      await stack.pulumi(["stack", "init", "dev"]);
      await options.prepare?.(stack, context);
      await timed("up", () => stack.up(options.upSeconds));
      await timed("the test", () => body(stack, context));
      await timed("up without a change", () => stack.upWithoutChange());
      await timed("destroy", () => stack.destroy());
      // The lab's world follows the records of the API within moments.
      await waitFor("nothing that destroy left", 30, async () => {
        assert.deepEqual(await account(), before);
        return true;
      });
      await stack.pulumi(["stack", "rm", "--yes", "dev"]);
    } catch (error) {
      context.diagnostic(await journals().catch(String));
      // Whatever it left would be in the way of the next one.
      await down().catch(() => undefined);
      throw error;
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}

/** The ends of all machines' journals, for the message of a failure. */
async function journals(): Promise<string> {
  const machines = (await labMachines()).filter(({ leaderPid }) => leaderPid !== undefined);
  const ends = await Promise.all(
    machines.map(async ({ id, address = "", leaderPid = 0 }) => {
      const journal = ["journalctl", "--lines=40", "--output=short-precise", "--no-pager"];
      const { stdout } = await inside(leaderPid, journal, { timeoutSeconds: 30 });
      return `${id} ${address}:\n${stdout}`;
    }),
  );
  return ends.join("\n");
}

/** For the AWS SDK in this process. */
function awsOf(environment: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).filter(([name]) => name.startsWith("AWS_")),
  );
}
