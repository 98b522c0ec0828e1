import { EtcdCluster, type EtcdClusterArgs } from "../../components";
import { answers, outputs } from "./awsMocks";
import { record, type Recording } from "./recordingMocks";

/** Hashes in place of real artifacts. */
export const testArtifacts = {
  node: { sha256: "b".repeat(64) },
  etcd: { sha256: "c".repeat(64) },
};

/** The least that a cluster needs. */
export const leastArgs: EtcdClusterArgs = {
  region: "eu-central-1",
  adminCidrs: ["198.51.100.0/24"],
  artifacts: testArtifacts,
};

/** Records what a cluster registers; the least arguments and some more. */
export async function recordCluster(
  args: Partial<EtcdClusterArgs> = {},
): Promise<Recording<EtcdCluster>> {
  return record(() => new EtcdCluster("etcd", { ...leastArgs, ...args }), outputs, answers);
}
