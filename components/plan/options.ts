import { resolveAccess, type Access, type AccessControlOptions } from "./accessControl";
import { firstAuthorities } from "./authorities";
import { upstream, type ArtifactSource } from "./artifacts";
import { defaultEtcdVersion } from "./etcdVersions";
import { resolveMonitoring, type MonitoringOptions, type ResolvedMonitoring } from "./monitoring";
import { physicalNames } from "./names";
import { defaultZones } from "./regions";

/** How machines in private subnets reach the AWS API. */
export const Egress = {
  /** One NAT gateway for all zones: cheap; the loss of its zone cuts the others' way out. */
  nat: "nat",
  /** One NAT gateway per zone. */
  natPerZone: "natPerZone",
  /** No way out at all: endpoints inside the VPC for the few APIs that are called. */
  vpcEndpoints: "vpcEndpoints",
} as const;
/** How machines in private subnets reach the AWS API. */
export type Egress = (typeof Egress)[keyof typeof Egress];

/** What happens when a quorum is lost for good. */
export const RecoveryMode = {
  /** The members hold a roll call and begin a new generation from the best surviving copy. */
  automatic: "automatic",
  /** They hold the roll call, and then wait for the operator's `restore`. */
  manual: "manual",
} as const;
/** What happens when a quorum is lost for good. */
export type RecoveryMode = (typeof RecoveryMode)[keyof typeof RecoveryMode];

/** Existing subnets of one zone, as far as validation can know them. */
export interface ExistingSubnets {
  zone: string;
  privateSubnetId: unknown;
  publicSubnetId: unknown;
}

/** The choices that decide which resources exist, as a caller gives them. EtcdClusterArgs documents each. */
export interface ClusterOptions {
  clusterName?: string | undefined;
  region: string;
  size?: number | undefined;
  zones?: string[] | undefined;
  vpcCidr?: string | undefined;
  egress?: Egress | undefined;
  existingNetwork?: { vpcId: unknown; subnets: ExistingSubnets[] } | undefined;
  memberAddresses?: Record<string, string> | undefined;
  adminCidrs: string[];
  allowAdminFromAnywhere?: boolean | undefined;
  clientCidrs?: string[] | undefined;
  domain?: string | undefined;
  instanceType?: string | undefined;
  bastionInstanceType?: string | undefined;
  rootVolumeSizeGiB?: number | undefined;
  volumeSizeGiB?: number | undefined;
  volumeIops?: number | undefined;
  volumeThroughputMiBps?: number | undefined;
  backendQuotaGiB?: number | undefined;
  grpcGateway?: boolean | undefined;
  etcdVersion?: string | undefined;
  artifacts?: { node?: ArtifactSource | undefined; etcd?: ArtifactSource | undefined } | undefined;
  certificateValidityDays?: number | undefined;
  certificateRenewalDays?: number | undefined;
  certificateAuthorities?: string | undefined;
  accessControl?: AccessControlOptions | undefined;
  recovery?:
    | {
        mode?: RecoveryMode | undefined;
        quorumLossSeconds?: number | undefined;
        volumeLossSeconds?: number | undefined;
      }
    | undefined;
  backup?:
    | {
        everyMinutes?: number | undefined;
        keepLast?: number | undefined;
        keepDays?: number | undefined;
        drillEveryHours?: number | undefined;
      }
    | undefined;
  monitoring?: MonitoringOptions | undefined;
  kmsKeyArn?: unknown;
  deletionProtection?: boolean | undefined;
  tags?: Record<string, unknown> | undefined;
}

/** The same choices with every default filled in. This, and not what the caller wrote, is what is validated and built. */
export interface ResolvedOptions {
  readonly clusterName: string;
  readonly region: string;
  readonly size: number;
  readonly zones: readonly string[];
  readonly vpcCidr: string;
  readonly egress: Egress;
  readonly existingNetwork: ClusterOptions["existingNetwork"];
  readonly memberAddresses: Readonly<Record<string, string>>;
  readonly adminCidrs: readonly string[];
  readonly allowAdminFromAnywhere: boolean;
  readonly clientCidrs: readonly string[];
  readonly domain: string;
  readonly instanceType: string;
  readonly bastionInstanceType: string;
  readonly rootVolumeSizeGiB: number;
  readonly volumeSizeGiB: number;
  readonly volumeIops: number;
  readonly volumeThroughputMiBps: number;
  readonly backendQuotaGiB: number;
  readonly grpcGateway: boolean;
  readonly etcdVersion: string;
  readonly artifacts: Readonly<Record<"node" | "etcd", ArtifactSource>>;
  readonly certificateValidityDays: number;
  readonly certificateRenewalDays: number;
  readonly certificateAuthorities: string;
  readonly accessControl: Access;
  readonly recovery: {
    readonly mode: RecoveryMode;
    readonly quorumLossSeconds: number;
    readonly volumeLossSeconds: number;
  };
  readonly backup: {
    readonly everyMinutes: number;
    readonly keepLast: number;
    readonly keepDays: number;
    readonly drillEveryHours: number;
  };
  readonly monitoring: ResolvedMonitoring;
  /** A key that is handed in; may not be known yet. */
  readonly kmsKeyArn: unknown;
  readonly deletionProtection: boolean;
  readonly tags: Readonly<Record<string, unknown>>;
}

/** Fills in the defaults. `name` is the component's name, which a cluster bears unless it is given another. */
export function resolveOptions(name: string, options: ClusterOptions): ResolvedOptions {
  const clusterName = options.clusterName ?? name;
  const etcdVersion = options.etcdVersion ?? defaultEtcdVersion;
  const certificateValidityDays = options.certificateValidityDays ?? 365;
  const certificateRenewalDays =
    options.certificateRenewalDays ?? Math.floor(certificateValidityDays / 3);
  const backup = {
    everyMinutes: options.backup?.everyMinutes ?? 15,
    keepLast: options.backup?.keepLast ?? 96,
    keepDays: options.backup?.keepDays ?? 30,
    drillEveryHours: options.backup?.drillEveryHours ?? 24,
  };
  return {
    clusterName,
    region: options.region,
    size: options.size ?? 3,
    zones:
      options.zones ??
      options.existingNetwork?.subnets.map((subnets) => subnets.zone) ??
      defaultZones(options.region),
    vpcCidr: options.vpcCidr ?? "10.42.0.0/16",
    egress: options.egress ?? Egress.nat,
    existingNetwork: options.existingNetwork,
    memberAddresses: options.memberAddresses ?? {},
    adminCidrs: options.adminCidrs,
    allowAdminFromAnywhere: options.allowAdminFromAnywhere ?? false,
    clientCidrs: options.clientCidrs ?? [],
    domain: options.domain ?? physicalNames(clusterName, options.region).domain,
    instanceType: options.instanceType ?? "m7i.large",
    bastionInstanceType: options.bastionInstanceType ?? "t3.micro",
    rootVolumeSizeGiB: options.rootVolumeSizeGiB ?? 8,
    volumeSizeGiB: options.volumeSizeGiB ?? 20,
    volumeIops: options.volumeIops ?? 3000,
    volumeThroughputMiBps: options.volumeThroughputMiBps ?? 125,
    backendQuotaGiB: options.backendQuotaGiB ?? 2,
    grpcGateway: options.grpcGateway ?? false,
    etcdVersion,
    artifacts: {
      node: { url: upstream.node(), ...options.artifacts?.node },
      etcd: { url: upstream.etcd(etcdVersion), ...options.artifacts?.etcd },
    },
    certificateValidityDays,
    certificateRenewalDays,
    certificateAuthorities: options.certificateAuthorities ?? firstAuthorities,
    accessControl: resolveAccess(options.accessControl),
    recovery: {
      mode: options.recovery?.mode ?? RecoveryMode.automatic,
      quorumLossSeconds: options.recovery?.quorumLossSeconds ?? 180,
      volumeLossSeconds: options.recovery?.volumeLossSeconds ?? 600,
    },
    backup,
    monitoring: resolveMonitoring(options.monitoring, { backup, certificateRenewalDays }),
    kmsKeyArn: options.kmsKeyArn,
    deletionProtection: options.deletionProtection ?? true,
    tags: options.tags ?? {},
  };
}
