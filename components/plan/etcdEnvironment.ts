import { etcdMinor, type EtcdMinor } from "./etcdVersions";
import { dataDirectory, pkiFiles } from "./machinePaths";
import { ports } from "./ports";

/** What etcd's settings depend on. */
export interface EtcdSettings {
  readonly version: string;
  readonly member: string;
  readonly address: string;
  readonly backendQuotaGiB: number;
  /** Whether clients may speak JSON over HTTP. */
  readonly grpcGateway: boolean;
}

/** Forward-secret suites with authenticated encryption for ECDSA certificates; TLS 1.3 has no others and ignores the list. */
const cipherSuites = [
  "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
  "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
  "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
];

/** Corruption checks, and a member that steps aside while it defragments. 3.6 turned the experimental flags into feature gates. */
const checks: Readonly<Record<EtcdMinor, Readonly<Record<string, string>>>> = {
  "3.5": {
    ETCD_EXPERIMENTAL_INITIAL_CORRUPT_CHECK: "true",
    ETCD_EXPERIMENTAL_COMPACT_HASH_CHECK_ENABLED: "true",
    ETCD_EXPERIMENTAL_COMPACT_HASH_CHECK_TIME: "1m",
    ETCD_EXPERIMENTAL_STOP_GRPC_SERVICE_ON_DEFRAG: "true",
    // 3.5 keeps ten times as many entries in memory unless told otherwise; 3.6 has this value by itself.
    ETCD_SNAPSHOT_COUNT: "10000",
  },
  "3.6": {
    ETCD_FEATURE_GATES:
      "CompactHashCheck=true,InitialCorruptCheck=true,StopGRPCServiceOnDefrag=true",
    ETCD_COMPACT_HASH_CHECK_TIME: "1m",
  },
  "3.7": {
    ETCD_FEATURE_GATES:
      "CompactHashCheck=true,InitialCorruptCheck=true,StopGRPCServiceOnDefrag=true",
    ETCD_COMPACT_HASH_CHECK_TIME: "1m",
  },
};

/** etcd's settings as ETCD_ variables, for its minor; all but the three which come from the cluster record. */
export function etcdEnvironment(settings: EtcdSettings): Record<string, string> {
  const { address } = settings;
  return {
    ETCD_NAME: settings.member,
    ETCD_DATA_DIR: dataDirectory,
    ETCD_LISTEN_CLIENT_URLS: `https://${address}:${ports.client},https://127.0.0.1:${ports.client}`,
    ETCD_ADVERTISE_CLIENT_URLS: `https://${address}:${ports.client}`,
    ETCD_LISTEN_PEER_URLS: `https://${address}:${ports.peer}`,
    ETCD_INITIAL_ADVERTISE_PEER_URLS: `https://${address}:${ports.peer}`,
    ETCD_LISTEN_METRICS_URLS: `http://${address}:${ports.metrics},http://127.0.0.1:${ports.metrics}`,
    ETCD_METRICS: "extensive",
    ETCD_CLIENT_CERT_AUTH: "true",
    ETCD_TRUSTED_CA_FILE: pkiFiles.clientCa,
    ETCD_CERT_FILE: pkiFiles.serverCertificate,
    ETCD_KEY_FILE: pkiFiles.serverKey,
    ETCD_CLIENT_CRL_FILE: pkiFiles.revoked,
    ETCD_PEER_CLIENT_CERT_AUTH: "true",
    ETCD_PEER_TRUSTED_CA_FILE: pkiFiles.peerCa,
    ETCD_PEER_CERT_FILE: pkiFiles.peerCertificate,
    ETCD_PEER_KEY_FILE: pkiFiles.peerKey,
    ETCD_PEER_CRL_FILE: pkiFiles.revoked,
    ETCD_TLS_MIN_VERSION: "TLS1.2",
    ETCD_CIPHER_SUITES: cipherSuites.join(","),
    ETCD_QUOTA_BACKEND_BYTES: String(settings.backendQuotaGiB * 2 ** 30),
    ETCD_AUTO_COMPACTION_MODE: "periodic",
    ETCD_AUTO_COMPACTION_RETENTION: "1h",
    ETCD_STRICT_RECONFIG_CHECK: "true",
    ETCD_PRE_VOTE: "true",
    ETCD_ENABLE_GRPC_GATEWAY: String(settings.grpcGateway),
    // Below the balancer's idle timeout, so that a quiet watch is not cut; etcd's own default is two hours.
    ETCD_GRPC_KEEPALIVE_MIN_TIME: "5s",
    ETCD_GRPC_KEEPALIVE_INTERVAL: "60s",
    ETCD_GRPC_KEEPALIVE_TIMEOUT: "20s",
    ETCD_LOGGER: "zap",
    ETCD_LOG_LEVEL: "info",
    ETCD_LOG_OUTPUTS: "stderr",
    ...checks[etcdMinor(settings.version)],
  };
}
