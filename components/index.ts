export type { EtcdConnection } from "./connection";
export { EtcdCluster, type ClientCertificate } from "./etcdCluster";
export type {
  ArtifactsArgs,
  BackupArgs,
  EtcdClusterArgs,
  MonitoringArgs,
  RecoveryArgs,
} from "./etcdClusterArgs";
export type { MemberSummary } from "./etcdNodeGroup";
export type { ExistingNetworkArgs, ExistingSubnetsArgs } from "./network";
export type { ArtifactSource } from "./plan/artifacts";
export { MemberRole, type MemberHealth } from "./plan/health";
export { Egress, RecoveryMode } from "./plan/options";
export type { IssuedCertificate } from "./tlsAuthority";
