import { EC2Client } from "@aws-sdk/client-ec2";
import { ElasticLoadBalancingV2Client } from "@aws-sdk/client-elastic-load-balancing-v2";
import { IAMClient } from "@aws-sdk/client-iam";
import { KMSClient } from "@aws-sdk/client-kms";
import { Route53Client } from "@aws-sdk/client-route-53";
import { S3Client } from "@aws-sdk/client-s3";
import { SSMClient } from "@aws-sdk/client-ssm";
import { adminCredentials } from "../paths.ts";

/** Options every client of the lab needs: loopback endpoint, the fixed administrator, no retries that hide a fault. */
export function clientOptions(endpoint: string, region: string) {
  return {
    endpoint,
    region,
    credentials: { ...adminCredentials },
    maxAttempts: 1,
  };
}

/** moto asked directly, for the rules, the group engine and the daemon: clients per region, made when first used. */
export class Records {
  private readonly endpoint: string;
  private readonly cache = new Map<string, unknown>();

  constructor(motoPort: number) {
    this.endpoint = `http://127.0.0.1:${motoPort}`;
  }

  ec2(region: string): EC2Client {
    return this.client("ec2", region, (options) => new EC2Client(options));
  }

  elb(region: string): ElasticLoadBalancingV2Client {
    return this.client("elb", region, (options) => new ElasticLoadBalancingV2Client(options));
  }

  ssm(region: string): SSMClient {
    return this.client("ssm", region, (options) => new SSMClient(options));
  }

  kms(region: string): KMSClient {
    return this.client("kms", region, (options) => new KMSClient(options));
  }

  iam(): IAMClient {
    return this.client("iam", "us-east-1", (options) => new IAMClient(options));
  }

  route53(): Route53Client {
    return this.client("route53", "us-east-1", (options) => new Route53Client(options));
  }

  s3(region: string): S3Client {
    return this.client(
      "s3",
      region,
      (options) => new S3Client({ ...options, forcePathStyle: true }),
    );
  }

  private client<Client>(
    name: string,
    region: string,
    make: (options: ReturnType<typeof clientOptions>) => Client,
  ): Client {
    const key = `${name}/${region}`;
    const known = this.cache.get(key) as Client | undefined;
    if (known !== undefined) return known;
    const made = make(clientOptions(this.endpoint, region));
    this.cache.set(key, made);
    return made;
  }
}
