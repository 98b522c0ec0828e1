import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { AutoScalingClient } from "@aws-sdk/client-auto-scaling";
import { CloudWatchClient } from "@aws-sdk/client-cloudwatch";
import { EC2Client } from "@aws-sdk/client-ec2";
import { ElasticLoadBalancingV2Client } from "@aws-sdk/client-elastic-load-balancing-v2";
import { IAMClient } from "@aws-sdk/client-iam";
import { KMSClient } from "@aws-sdk/client-kms";
import { Route53Client } from "@aws-sdk/client-route-53";
import { S3Client } from "@aws-sdk/client-s3";
import { SSMClient } from "@aws-sdk/client-ssm";
import { STSClient } from "@aws-sdk/client-sts";
import { Lab } from "../../lab/daemon/lab.ts";
import { PaperReality, type Reality } from "../../lab/daemon/reality.ts";
import { adminCredentials } from "../../lab/paths.ts";
import { ensureMoto } from "../../lab/toolchain/moto.ts";

/** The region of every test. */
export const region = "eu-central-1";

/** Credentials as SDK clients take them. */
export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** A lab of records, with real moto, on ports of its own. */
export interface TestLab {
  readonly lab: Lab;
  readonly folder: string;
  readonly sockets: { readonly front: string; readonly imds: string };
  readonly stop: () => Promise<void>;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Starts a lab; `reality` stands for the machines, on paper unless given. */
export async function startTestLab(reality: Reality = new PaperReality()): Promise<TestLab> {
  const folder = mkdtempSync(join(tmpdir(), "etcd-cluster-front-"));
  const sockets = { front: join(folder, "front.sock"), imds: join(folder, "imds.sock") };
  const interpreter = process.env["ETCD_LAB_MOTO_PYTHON"];
  const lab = await Lab.start({
    region,
    frontPort: await freePort(),
    motoPort: await freePort(),
    runFolder: folder,
    sockets,
    python:
      interpreter === undefined ? { site: await ensureMoto(() => undefined) } : { interpreter },
    reality,
    log: () => undefined,
    ended: (reason) => {
      throw new Error(`the lab ended: ${reason}`);
    },
  });
  return {
    lab,
    folder,
    sockets,
    stop: async () => {
      await lab.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** SDK clients of one caller, as the providers and the agent make them. */
export function clientsOf(endpoint: string, credentials: Credentials = adminCredentials) {
  const options = { endpoint, region, credentials: { ...credentials }, maxAttempts: 1 };
  return {
    autoscaling: new AutoScalingClient(options),
    cloudWatch: new CloudWatchClient(options),
    ec2: new EC2Client(options),
    elb: new ElasticLoadBalancingV2Client(options),
    iam: new IAMClient(options),
    kms: new KMSClient(options),
    route53: new Route53Client(options),
    s3: new S3Client({ ...options, forcePathStyle: true }),
    ssm: new SSMClient(options),
    sts: new STSClient(options),
  };
}

/** All clients of one caller. */
export type Clients = ReturnType<typeof clientsOf>;

/** Looks every 50 ms until something is so, for at most some seconds. */
export async function eventually<Value>(
  look: () => Promise<Value | undefined> | Value | undefined,
  seconds = 10,
): Promise<Value> {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`it was not so within ${seconds} s`);
    await sleep(50);
  }
}
