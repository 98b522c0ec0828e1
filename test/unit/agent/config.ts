import type { MemberConfig } from "../../../components/plan/memberConfig";
import { etcdEnvironment } from "../../../components/plan/etcdEnvironment";
import { volumes } from "./facts";

const certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

/** A desired state of m1 of three. */
export function config(changes: Partial<MemberConfig> = {}): MemberConfig {
  return {
    schema: 1,
    cluster: "test",
    region: "eu-central-1",
    bucket: "test-123456789012-eu-central-1",
    member: "m1",
    zone: "eu-central-1a",
    address: "10.42.0.10",
    volume: {
      id: volumes.m1,
      device: "/dev/sdf",
      sizeGiB: 20,
      iops: 3000,
      throughputMiBps: 125,
      kmsKeyArn: "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-4333-8444-555555555555",
    },
    artifacts: {
      node: { sha256: "0".repeat(64) },
      agent: { sha256: "1".repeat(64) },
      etcd: { sha256: "2".repeat(64), version: "3.6.14" },
    },
    etcd: {
      environment: etcdEnvironment({
        version: "3.6.14",
        member: "m1",
        address: "10.42.0.10",
        backendQuotaGiB: 8,
        grpcGateway: false,
      }),
    },
    certificates: {
      authorities: "1",
      clientCa: certificate,
      peerCa: certificate,
      server: certificate,
      peer: certificate,
      agent: certificate,
      revoked: [],
    },
    parameters: {
      serverKey: "/test/m1/server-key",
      peerKey: "/test/m1/peer-key",
      agentKey: "/test/m1/agent-key",
      sshHostKey: "/test/m1/ssh-host-key",
    },
    initialMembers: (["m1", "m2", "m3"] as const).map((name, at) => ({
      name,
      address: `10.42.${at}.10`,
      volumeId: volumes[name],
    })),
    recovery: { mode: "automatic", quorumLossSeconds: 180, volumeLossSeconds: 600 },
    access: { enabled: false, users: [] },
    backup: { everyMinutes: 15, keepLast: 96, drillEveryHours: 24 },
    ...changes,
  };
}
