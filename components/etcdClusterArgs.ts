import type * as pulumi from "@pulumi/pulumi";

import type { ExistingNetworkArgs } from "./network";
import type { AccessControlOptions } from "./plan/accessControl";
import type { ArtifactSource } from "./plan/artifacts";
import type { Egress, RecoveryMode } from "./plan/options";

/**
 * What an EtcdCluster may be asked for. A value that decides which resources exist is plain; one that is only passed through is an
 * `Input`. All plain values are checked, with their defaults, before anything is created.
 */
export interface EtcdClusterArgs {
  /** AWS region, for instance `eu-central-1`; the one of the AWS provider that is in use. */
  region: string;
  /**
   * Blocks from which administrators, and the machine that runs `pulumi up`, reach the bastion by SSH. At least one; not
   * `0.0.0.0/0`, unless `allowAdminFromAnywhere` says that this is meant.
   */
  adminCidrs: string[];
  /** Name of the cluster, at most 24 characters; it is part of every physical name and cannot change. Defaults to the component's name. */
  clusterName?: string | undefined;
  /** Number of members: 1, 3, 5 or 7. Defaults to 3. */
  size?: number | undefined;
  /**
   * Availability zones, in order; members are dealt to them in turn. Defaults to the region's first three, or to those of
   * `existingNetwork`. Zones may be appended later, not removed.
   */
  zones?: string[] | undefined;
  /** CIDR of the new VPC, /16 to /24; each zone gets two sixteenths. Defaults to `10.42.0.0/16`. Not used with `existingNetwork`. */
  vpcCidr?: string | undefined;
  /** How private machines reach the AWS API. Defaults to one NAT gateway. In an existing network this is the owner's affair. */
  egress?: Egress | undefined;
  /** Build in this VPC and these subnets instead of making them. */
  existingNetwork?: ExistingNetworkArgs | undefined;
  /** Addresses of members by name (`m1`), inside their zones' private subnets. By default AWS picks one, which is then fixed. */
  memberAddresses?: Record<string, string> | undefined;
  /** Accept `0.0.0.0/0` in `adminCidrs`. Defaults to false. */
  allowAdminFromAnywhere?: boolean | undefined;
  /** Blocks from which clients reach etcd, beside those that bear the cluster's `clientSecurityGroup`. Defaults to none. */
  clientCidrs?: string[] | undefined;
  /** Domain of the private DNS zone. Defaults to `<clusterName>.internal`. */
  domain?: string | undefined;
  /** Instance type of the members, amd64. Defaults to `m7i.large`. Burstable types are for trying things out. */
  instanceType?: string | undefined;
  /** Instance type of the bastion, amd64. Defaults to `t3.micro`. */
  bastionInstanceType?: string | undefined;
  /** Image of all machines, Debian 13. By default the newest one at creation, which is then kept; naming another replaces machines. */
  amiId?: pulumi.Input<string> | undefined;
  /** Size of the members' root disks in GiB, at least 8. Defaults to 8. */
  rootVolumeSizeGiB?: number | undefined;
  /** Size of the members' data volumes in GiB, at least three times the quota. Defaults to 20. It can grow, not shrink. */
  volumeSizeGiB?: number | undefined;
  /** I/O operations per second of the data volumes, 3000 to 16000 and at most 500 per GiB. Defaults to 3000. */
  volumeIops?: number | undefined;
  /** Throughput of the data volumes in MiB/s, 125 to 1000 and at most a quarter of the IOPS. Defaults to 125. */
  volumeThroughputMiBps?: number | undefined;
  /** Largest size of etcd's database in GiB, 0.25 to 8 in quarters. Defaults to 2. */
  backendQuotaGiB?: number | undefined;
  /**
   * Let clients speak JSON over HTTP to 2379 beside gRPC, with the same certificates: for Patroni and others that have no gRPC. Off by
   * default. Not with `accessControl`: etcd does not take the certificate's name for the user's there, so that such clients could do
   * nothing.
   */
  grpcGateway?: boolean | undefined;
  /** Version of etcd. Defaults to 3.6.14. */
  etcdVersion?: string | undefined;
  /** Where Node and etcd come from: local files, or upstream releases with the hashes you checked. */
  artifacts?: { node?: ArtifactSource | undefined; etcd?: ArtifactSource | undefined } | undefined;
  /** Validity of certificates in days, 30 to 1825. Defaults to 365. */
  certificateValidityDays?: number | undefined;
  /**
   * Days before their end from which on an `up` renews certificates, without a restart of etcd; 1 to `certificateValidityDays`. Defaults to
   * a third of it. With all of it every `up` renews: that is how to renew at once.
   */
  certificateRenewalDays?: number | undefined;
  /**
   * Which certificate authorities sign and are trusted, the one that signs first. Defaults to `1`. An authority is exchanged in three
   * steps, an `up` for each: `1+2` (both are trusted), `2+1` (the new one signs), `2` (the old one is turned away). A step that was left
   * out is refused; docs/operations.md has what clients do meanwhile.
   */
  certificateAuthorities?: string | undefined;
  /**
   * etcd's own access control, off by default: whoever has a client certificate may do everything. When `enabled`, the common name of
   * the certificate is the user: `users` gives those of `issueClientCertificate` rights on the keys that begin with a prefix (`read`,
   * `write` or `readwrite`), and who is not there may do nothing. Operators and agents may do everything. It can be turned on and off
   * while the cluster runs; the leader's agent does it within a minute, and `up` waits for it.
   */
  accessControl?: AccessControlOptions | undefined;
  /**
   * What happens when a quorum is lost: `mode` defaults to automatic, `quorumLossSeconds` (10 to 86400) to 180; a short one only costs
   * a roll call that was not needed. A member whose volume EC2 has not known for `volumeLossSeconds` (30 to 86400, default 600) makes
   * itself another one.
   */
  recovery?:
    | {
        mode?: RecoveryMode | undefined;
        quorumLossSeconds?: number | undefined;
        volumeLossSeconds?: number | undefined;
      }
    | undefined;
  /**
   * The leader puts a backup into the bucket every `everyMinutes` (1 to 1440, default 15). The newest `keepLast` (2 to 10000, default 96)
   * never expire, whatever their age; older ones do when they are `keepDays` old (1 to 3650, default 30). Every `drillEveryHours`
   * (1 to 720, default 24) a member restores the newest one into a scratch etcd and compares it with the cluster.
   */
  backup?:
    | {
        everyMinutes?: number | undefined;
        keepLast?: number | undefined;
        keepDays?: number | undefined;
        drillEveryHours?: number | undefined;
      }
    | undefined;
  /**
   * Alarms and a dashboard in CloudWatch, unless `enabled` is false (default true). Alarms speak to the topic of `topicArn`, or to a new
   * encrypted one, to which `email` (one address, which has to confirm; none by default; not with `topicArn`) is subscribed. An alarm is
   * raised when the newest backup is older than `backupAgeMinutes` (above `backup.everyMinutes`, at most 14400; default twice that and
   * 15), no backup was proven for `drillAgeHours` (above `backup.drillEveryHours`, at most 2160; default twice that and 1), or a
   * certificate ends in less than `certificateDaysLeft` days (1 to `certificateRenewalDays`; default 30, or half of it).
   */
  monitoring?:
    | {
        enabled?: boolean | undefined;
        topicArn?: pulumi.Input<string> | undefined;
        email?: string | undefined;
        backupAgeMinutes?: number | undefined;
        drillAgeHours?: number | undefined;
        certificateDaysLeft?: number | undefined;
      }
    | undefined;
  /**
   * ARN of an existing KMS key, in the cluster's region, for disks, secrets, bucket and topic. By default the cluster makes one of its own.
   * Its policy must admit the auto scaling service and CloudWatch: docs/security.md has the statements. It cannot change later, because
   * volumes keep their key.
   */
  kmsKeyArn?: pulumi.Input<string> | undefined;
  /** Keep volumes, bucket and key when the stack is destroyed, and refuse to delete the balancer. Defaults to true. */
  deletionProtection?: boolean | undefined;
  /** Tags of everything that can bear them. */
  tags?: Record<string, pulumi.Input<string>> | undefined;
}
