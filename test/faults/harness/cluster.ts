import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { z } from "zod";
import { bastionId, healAll } from "../../../lab/cli/fault/actions.ts";
import {
  leaderOf,
  locate,
  stackMembers,
  type Member,
  type StackMember,
} from "../../../lab/cli/fault/members.ts";
import { inventory } from "../../../lab/machines/inventory.ts";
import { labEnvironment, make, must, repository } from "../../lab/support.ts";
import { BucketView } from "./bucket.ts";
import type { ClientTls } from "../writer/endpoint.ts";
import { WriterProcess, type WriterOptions } from "../writer/process.ts";

/** A stack of the tests' own: its name, and what differs from the tracked dev stack. */
export interface TestStack {
  readonly name: string;
  readonly settings: Readonly<Record<string, unknown>>;
  /** Whether one that runs already is taken, and left running. */
  readonly keep: boolean;
}

/** The stack of the faults: the cheap one, with everything that may be waited for as short as it may be. */
const faultsStack: TestStack = {
  name: "faults",
  settings: {
    "etcd-cluster:clusterName": "etcd-faults",
    "etcd-cluster:backendQuotaGiB": 0.25,
    "etcd-cluster:recovery": { quorumLossSeconds: 10, volumeLossSeconds: 30 },
    "etcd-cluster:backup": { everyMinutes: 1 },
  },
  keep: process.env["FAULT_KEEP"] === "1",
};

/** Where the config of a tests' stack is. */
export function configFile({ name }: TestStack): string {
  return join(repository, `Pulumi.${name}.yaml`);
}

/** Writes the stack's config; not tracked (.gitignore), and there only while its tests run. */
export function writeConfig(stack: TestStack, settings = stack.settings): void {
  const dev = parse(readFileSync(join(repository, "Pulumi.dev.yaml"), "utf8")) as {
    config: Record<string, unknown>;
  };
  writeFileSync(configFile(stack), stringify({ config: { ...dev.config, ...settings } }));
}

const outputSchema = z.object({
  caCertificate: z.string(),
  clientCertificate: z.string(),
  clientKey: z.string(),
  userCertificates: z.record(z.string(), z.object({ certificate: z.string(), key: z.string() })),
  backupBucket: z.string(),
});

/** What the stack says of its cluster; another after every time it was built. */
interface Deployed {
  readonly declared: readonly StackMember[];
  readonly bucket: string;
  readonly tls: ClientTls;
  /** Of the users of access control, by their names. */
  readonly users: Readonly<Record<string, Omit<ClientTls, "ca">>>;
}

async function readDeployed(environment: Record<string, string>): Promise<Deployed> {
  const { stdout } = await must(
    "pulumi",
    ["stack", "output", "--json", "--show-secrets", "--non-interactive"],
    { env: environment, timeoutSeconds: 60 },
  );
  const outputs = outputSchema.parse(JSON.parse(stdout));
  return {
    declared: await stackMembers(environment),
    bucket: outputs.backupBucket,
    users: outputs.userCertificates,
    tls: {
      ca: outputs.caCertificate,
      certificate: outputs.clientCertificate,
      key: outputs.clientKey,
    },
  };
}

/** What a writer does beside its streams, and the user of access control whose requests they are: the operator's unless it is said. */
export type Load = Pick<WriterOptions, "retrying" | "once" | "changing"> & {
  readonly user?: string;
};

/** The cluster under test, and everything that a line needs of it. */
export class Cluster {
  readonly environment: Record<string, string>;
  readonly #stack: TestStack;
  #deployed: Deployed;

  private constructor(stack: TestStack, environment: Record<string, string>, deployed: Deployed) {
    this.#stack = stack;
    this.environment = environment;
    this.#deployed = deployed;
  }

  /** Brings the lab up from nothing. `FAULT_KEEP=1` takes one of this stack that runs already. */
  static async up(stack: TestStack = faultsStack): Promise<Cluster> {
    writeConfig(stack);
    if (!stack.keep) await make("down", { STACK: stack.name }, 120);
    const outcome = await make("up", { STACK: stack.name }, 1800);
    assert.equal(outcome.code, 0, `${outcome.stdout}\n${outcome.stderr}`);
    const environment = await labEnvironment(stack.name);
    return new Cluster(stack, environment, await readDeployed(environment));
  }

  /** Looks at the stack anew, after it was built anew. */
  async reload(): Promise<void> {
    this.#deployed = await readDeployed(this.environment);
  }

  /** The members that the stack declares. */
  get declared(): readonly StackMember[] {
    return this.#deployed.declared;
  }

  /** Takes the lab down and makes sure that nothing is left of it. */
  static async down(stack: TestStack = faultsStack): Promise<void> {
    if (stack.keep) return;
    const outcome = await make("down", { STACK: stack.name }, 180);
    rmSync(configFile(stack), { force: true });
    assert.equal(outcome.code, 0, outcome.stdout + outcome.stderr);
    for (const [kind, things] of Object.entries(inventory())) assert.deepEqual(things, [], kind);
  }

  /** The bucket, as its owner sees it. */
  bucketView(): BucketView {
    return new BucketView(this.region, this.#deployed.bucket);
  }

  /** Who a client is. */
  get tls(): ClientTls {
    return this.#deployed.tls;
  }

  get region(): string {
    return this.environment["AWS_REGION"] ?? "";
  }

  /** Where the members are now. */
  members(): Promise<Member[]> {
    return locate(this.declared);
  }

  /** The members as leader and followers. */
  async roles(): Promise<{ leader: Member; followers: Member[]; all: Member[] }> {
    const all = await this.members();
    const name = await leaderOf(all);
    const leader = all.find((member) => member.name === name);
    assert.ok(leader, "no member leads");
    return { leader, followers: all.filter((member) => member !== leader), all };
  }

  /** The address of a member, which outlives its machines. */
  addressOf(name: string): string {
    const found = this.declared.find((member) => member.name === name);
    assert.ok(found, `no member ${name}`);
    return found.address;
  }

  /** A writer among the lab's clients. */
  async writer(
    prefix: string,
    streams: number,
    { user, ...load }: Load = {},
  ): Promise<WriterProcess> {
    const { tls } = this.#deployed;
    return WriterProcess.start({
      ...{ machineId: await bastionId(), members: this.declared, prefix, streams, tls },
      ...(user === undefined ? {} : { as: { ca: tls.ca, ...this.#pairOf(user) } }),
      ...load,
    });
  }

  #pairOf(user: string): Omit<ClientTls, "ca"> {
    const pair = this.#deployed.users[user];
    assert.ok(pair, `the stack has no certificate of ${user}`);
    return pair;
  }

  /** Ends whatever a line that failed has left behind. */
  async heal(): Promise<void> {
    await healAll(this.declared.map(({ zone }) => zone));
  }

  /** `make verify`, as a person runs it. */
  async verify(): Promise<void> {
    const outcome = await make("verify", { STACK: this.#stack.name }, 120);
    assert.equal(outcome.code, 0, outcome.stdout + outcome.stderr);
  }

  /** `make status`, for the message of a failure. */
  async statusText(): Promise<string> {
    const outcome = await make("status", { STACK: this.#stack.name }, 120);
    return outcome.stdout + outcome.stderr;
  }
}
