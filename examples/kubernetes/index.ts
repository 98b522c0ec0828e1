import { Config } from "@pulumi/pulumi";
import { EtcdCluster } from "etcd-cluster";

const config = new Config();

const cluster = new EtcdCluster("kubernetes", {
  region: new Config("aws").require("region"),
  adminCidrs: config.requireObject("adminCidrs"),
  artifacts: config.requireObject("artifacts"),
  instanceType: config.get("instanceType") ?? "m7i.large",
  // What etcd recommends at most, because a control plane's data grows with everything that runs on it.
  backendQuotaGiB: 8,
  volumeSizeGiB: 40,
  deletionProtection: config.getBoolean("deletionProtection") ?? true,
});
const apiServer = cluster.issueClientCertificate("kube-apiserver");

/** Where kubeadm has these files on a control plane machine with an etcd of others. */
const folder = "/etc/kubernetes/pki";

/** `etcd/ca.crt`: by what the API server checks the members. */
export const etcdCa = cluster.caCertificate;
/** `apiserver-etcd-client.crt`. */
export const etcdCertificate = apiServer.certificatePem;
/** `apiserver-etcd-client.key`; secret. */
export const etcdKey = apiServer.privateKeyPem;

/** What kube-apiserver is started with. */
export const etcdFlags = cluster.clientEndpoints.apply((endpoints) => [
  // All members: the API server goes on with the others when one is lost.
  `--etcd-servers=${endpoints.join(",")}`,
  `--etcd-cafile=${folder}/etcd/ca.crt`,
  `--etcd-certfile=${folder}/apiserver-etcd-client.crt`,
  `--etcd-keyfile=${folder}/apiserver-etcd-client.key`,
  "--etcd-prefix=/registry",
  "--etcd-compaction-interval=5m0s",
  // Longer than an election, so that one does not restart the API server.
  "--etcd-healthcheck-timeout=10s",
  "--etcd-readycheck-timeout=2s",
]);

/** The control plane's machines bear this security group beside their own. */
export const clientSecurityGroup = cluster.clientSecurityGroup;
/** The VPC that they are in, or that theirs is peered with. */
export const vpcId = cluster.vpcId;
export const health = cluster.health;
