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
  /**
   * How private machines reach the AWS API: `nat`, `natPerZone`, or `vpcEndpoints` (no way out). Defaults to `nat`, one gateway for all
   * zones. In an existing network this is the owner's affair.
   */
  egress?: Egress;
  /** Build in this VPC and these subnets instead of making them. By default a VPC is made. */
  existingNetwork?: ExistingNetworkArgs | undefined;
  /** Addresses of members by name (`m1`), inside their zones' private subnets. By default AWS picks one, which is then fixed. */
  memberAddresses?: Record<string, string> | undefined;
  /** Accept `0.0.0.0/0` in `adminCidrs`. Defaults to false. */
  allowAdminFromAnywhere?: boolean | undefined;
  /** Blocks from which clients reach etcd, at most 40, beside those that bear the cluster's `clientSecurityGroup`. Defaults to none. */
  clientCidrs?: string[] | undefined;
  /** Domain of the private DNS zone. Defaults to `<clusterName>.internal`. */
  domain?: string | undefined;
  /** Instance type of the members, amd64. Defaults to `m7i.large`. Burstable types are for trying things out. */
  instanceType?: string | undefined;
  /** Instance type of the bastion, amd64. Defaults to `t3.micro`. */
  bastionInstanceType?: string | undefined;
  /** Image of all machines, Debian 13. By default the newest one at creation, which is then kept; naming another replaces machines. */
  amiId?: pulumi.Input<string> | undefined;
  /** Size of the members' root disks in GiB, 8 to 1024. Defaults to 8. */
  rootVolumeSizeGiB?: number | undefined;
  /** Size of the members' data volumes in GiB, 3 to 16384 and at least three times the quota. Defaults to 20. It can grow, not shrink. */
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
  /** Version of etcd: from 3.5.33, 3.6.14 or 3.7.1 on, and changed by one minor at a time. Defaults to 3.6.14. */
  etcdVersion?: string | undefined;
  /** Where Node and etcd come from: local files, or releases with the hashes you checked. Defaults to the upstream releases, whose hashes have to be given. */
  artifacts?: ArtifactsArgs | undefined;
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
  /** What happens when a quorum is lost, or a volume. Defaults to automatic recovery. */
  recovery?: RecoveryArgs | undefined;
  /** Backups and their drills. By default one every 15 minutes, proven once a day. */
  backup?: BackupArgs | undefined;
  /** Alarms and a dashboard in CloudWatch. On by default, with a topic of their own. */
  monitoring?: MonitoringArgs | undefined;
  /**
   * ARN of an existing KMS key, in the cluster's region, for disks, secrets, bucket and topic. By default the cluster makes one of its own.
   * Its policy must admit the auto scaling service and CloudWatch: docs/security.md has the statements. It cannot change later, because
   * volumes keep their key.
   */
  kmsKeyArn?: pulumi.Input<string> | undefined;
  /** Keep volumes, bucket and key when the stack is destroyed, and refuse to delete the balancer. Defaults to true. */
  deletionProtection?: boolean | undefined;
  /** Tags of everything that can bear them, at most 45. Defaults to none beside the cluster's own. */
  tags?: Record<string, pulumi.Input<string>> | undefined;
}

/** Where the programs come from that machines install. */
export interface ArtifactsArgs {
  /** Node, with which the agent runs. Defaults to nodejs.org's release; its hash has to be given. */
  node?: ArtifactSource | undefined;
  /** etcd, etcdctl and etcdutl of `etcdVersion`. Defaults to the project's release on GitHub; its hash has to be given. */
  etcd?: ArtifactSource | undefined;
}

/** What happens when a quorum is lost, or a volume. */
export interface RecoveryArgs {
  /** `automatic`: the members begin a new generation from the best surviving copy. `manual`: they wait for the operator. Defaults to automatic. */
  mode?: RecoveryMode;
  /** Seconds without a quorum after which members tell what they hold, 10 to 86400; few only cost a roll call for nothing. Defaults to 180. */
  quorumLossSeconds?: number | undefined;
  /** Seconds for which EC2 must not know a member's volume before the member makes itself another one, 30 to 86400. Defaults to 600. */
  volumeLossSeconds?: number | undefined;
}

/** Backups, how long they are kept, and how they are proven. */
export interface BackupArgs {
  /** Minutes between two backups, which the leader puts into the bucket, 1 to 1440. Defaults to 15. */
  everyMinutes?: number | undefined;
  /** Number of newest backups that never expire, whatever their age, 2 to 10000. Defaults to 96. */
  keepLast?: number | undefined;
  /** Age in days at which older backups expire, 1 to 3650. Defaults to 30. */
  keepDays?: number | undefined;
  /** Hours between two drills, in which a member restores the newest backup and compares it with the cluster, 1 to 720. Defaults to 24. */
  drillEveryHours?: number | undefined;
}

/** Alarms and a dashboard in CloudWatch. */
export interface MonitoringArgs {
  /** Whether there are any. Defaults to true. */
  enabled?: boolean | undefined;
  /** ARN of an existing topic that alarms speak to. Defaults to a new encrypted one. */
  topicArn?: pulumi.Input<string> | undefined;
  /** One address that is subscribed to the new topic, and has to confirm; not with `topicArn`. Defaults to none. */
  email?: string | undefined;
  /** Age of the newest backup in minutes that raises an alarm, above `backup.everyMinutes`, at most 14400. Defaults to twice that and 15. */
  backupAgeMinutes?: number | undefined;
  /** Hours without a proven backup that raise an alarm, above `backup.drillEveryHours`, at most 2160. Defaults to twice that and 1. */
  drillAgeHours?: number | undefined;
  /** Days before a certificate's end from which on there is an alarm, 1 to `certificateRenewalDays`. Defaults to 30, or to half of that. */
  certificateDaysLeft?: number | undefined;
}
