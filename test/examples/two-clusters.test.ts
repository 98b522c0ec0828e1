import assert from "node:assert/strict";
import { join } from "node:path";
import { labMachines } from "../../lab/cli/fault/members.ts";
import type { ClientTls } from "../faults/writer/endpoint.ts";
import { WriterProcess } from "../faults/writer/process.ts";
import { example } from "./harness/example.ts";
import { programFolder } from "./harness/project.ts";
import type { ExampleStack } from "./harness/stack.ts";

/** What `connection` is, as another program sees it. */
interface Connection {
  readonly endpoints: readonly string[];
  readonly caCertificate: string;
  readonly certificate: string;
  readonly key: string;
}

const tlsOf = ({ caCertificate: ca, certificate, key }: Connection): ClientTls => ({
  ca,
  certificate,
  key,
});

/** A client in the network of a cluster's bastion, which bears the security group of its clients. */
async function client(connection: Connection, bastion: string): Promise<WriterProcess> {
  const machine = (await labMachines()).find(({ publicAddress }) => publicAddress === bastion);
  assert.ok(machine, `no machine has the address ${bastion}`);
  const address = addressOf(connection);
  const members = [{ name: "m1", address }];
  const tls = tlsOf(connection);
  return WriterProcess.start({ machineId: machine.id, members, tls, prefix: "x/", streams: 0 });
}

function addressOf({ endpoints }: Connection): string {
  return new URL(endpoints[0] ?? "").hostname;
}

/** Mistakes of another project, each told before anything of the cluster exists. */
async function refusals(stack: ExampleStack): Promise<void> {
  await stack.set("mistake", "options");
  const collected = await stack.refusedPreview();
  assert.match(collected, /cannot be built as asked \(3 problems\); nothing was changed/);
  assert.match(collected, /sise is 3: there is no such argument/);
  assert.match(collected, /clientCidrs is "10.0.0.0\/8": it has not the right form/);
  assert.match(collected, /zones is \["eu-central-1a"\]: 3 members .* needs 3 zones/);
  await stack.set("mistake", "region");
  assert.match(
    await stack.refusedPreview(),
    /region is "eu-west-1": the AWS provider in use is for eu-central-1/,
  );
  await stack.set("mistake", "provider");
  assert.match(
    await stack.refusedPreview(),
    /region is "eu-central-1": the AWS provider in use is for eu-west-1/,
  );
  await stack.pulumi(["config", "rm", "mistake"]);
}

example(
  "two-clusters",
  async (stack) => {
    const outputs = await stack.outputs();
    const [one, two] = outputs["connections"] as [Connection, Connection];
    const [first, second] = outputs["bastions"] as [string, string];
    assert.notEqual(addressOf(one), addressOf(two));
    const mine = await client(one, first);
    const theirs = await client(two, second);
    try {
      await mine.put(addressOf(one), "whose", "one", 10);
      await theirs.put(addressOf(two), "whose", "two", 10);
      // Neither the certificate nor the group of one opens the other.
      await assert.rejects(mine.put(addressOf(two), "whose", "one", 5));
      await assert.rejects(theirs.put(addressOf(one), "whose", "two", 5));
    } finally {
      await mine.end();
      await theirs.end();
    }
  },
  { project: join(programFolder, "two-clusters"), prepare: refusals },
);
