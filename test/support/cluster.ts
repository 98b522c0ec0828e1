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

/** Records what a cluster registers: with the least arguments and some more, and after `use` has used it. */
export async function recordCluster(
  args: Partial<EtcdClusterArgs> = {},
  use: (cluster: EtcdCluster) => void = () => undefined,
): Promise<Recording<EtcdCluster>> {
  const build = (): EtcdCluster => {
    const cluster = new EtcdCluster("etcd", { ...leastArgs, ...args });
    use(cluster);
    return cluster;
  };
  return record(build, outputs, answers);
}
