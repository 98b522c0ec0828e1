import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";

import { canonicalJson } from "./plan/canonicalJson";
import { keyPolicy } from "./plan/iamDocuments";
import { kmsKeyProblem } from "./plan/kmsKey";
import { describeProblems } from "./plan/problems";

/** What a ClusterKey needs. */
export interface ClusterKeyArgs {
  clusterName: string;
  alias: string;
  /** Region of the alarms whose topic is encrypted with this key; undefined when there are none. */
  alarmRegion: string | undefined;
  /** ARN of a key to use instead of making one. */
  existing: pulumi.Input<string> | undefined;
  region: string;
  partition: pulumi.Output<string>;
  accountId: pulumi.Output<string>;
  deletionProtection: boolean;
  tags: Record<string, pulumi.Input<string>>;
}

/** The KMS key of a cluster's disks, secrets, bucket and topic, and its alias; or nothing, when a key is handed in. */
export class ClusterKey extends pulumi.ComponentResource {
  /** ARN of the key. */
  readonly arn: pulumi.Output<string>;

  constructor(name: string, args: ClusterKeyArgs, opts?: pulumi.ComponentResourceOptions) {
    super("etcd-cluster:index:ClusterKey", name, {}, opts);
    if (args.existing !== undefined) {
      this.arn = pulumi.output(args.existing).apply((arn) => {
        // A literal was checked with everything else; this is for one that was not known then.
        const problem = kmsKeyProblem(arn, args.region);
        if (problem !== undefined) {
          throw new pulumi.RunError(describeProblems([problem]));
        }
        return arn;
      });
      this.registerOutputs({ arn: this.arn });
      return;
    }
    const { clusterName: cluster, alarmRegion: region } = args;
    const alarmsOf = region === undefined ? undefined : { cluster, region };
    // Volumes and bucket stay behind when a protected stack is destroyed; without their key they would be noise.
    const options = { parent: this, retainOnDelete: args.deletionProtection };
    const key = new aws.kms.Key(
      name,
      {
        description: `etcd cluster ${cluster}: disks, secrets, bucket`,
        enableKeyRotation: true,
        deletionWindowInDays: 7,
        policy: pulumi
          .all([args.partition, args.accountId])
          .apply(([partition, accountId]) =>
            canonicalJson(keyPolicy({ partition, accountId }, alarmsOf)),
          ),
        tags: args.tags,
      },
      options,
    );
    new aws.kms.Alias(name, { name: args.alias, targetKeyId: key.keyId }, options);
    this.arn = key.arn;
    this.registerOutputs({ arn: this.arn });
  }
}
