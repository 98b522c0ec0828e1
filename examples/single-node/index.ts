import { all, Config } from "@pulumi/pulumi";
import { Egress, EtcdCluster } from "etcd-cluster";

const config = new Config();
const region = new Config("aws").require("region");

const cluster = new EtcdCluster("single", {
  region,
  adminCidrs: config.requireObject("adminCidrs"),
  artifacts: config.requireObject("artifacts"),
  size: 1,
  zones: [`${region}a`],
  // In a single zone three interface endpoints cost less than a NAT gateway and its address.
  egress: Egress.vpcEndpoints,
  instanceType: "t3.micro",
  bastionInstanceType: "t3.nano",
  backendQuotaGiB: 0.5,
  volumeSizeGiB: 8,
  monitoring: { enabled: false },
  deletionProtection: false,
});

/** The private half of the key pair that all machines admit; secret. */
export const sshPrivateKey = cluster.sshPrivateKey;

/** For `ssh -F`: the member through the bastion, by these keys and no others. Beside it lie `key` and `known_hosts`. */
export const sshConfig = all([cluster.bastionHost, cluster.members]).apply(([bastion, members]) =>
  [
    ...["Host bastion", `  HostName ${bastion}`, "  HostKeyAlias bastion"],
    ...members.flatMap(({ name, address }) => [
      ...[`Host ${name}`, `  HostName ${address}`, `  HostKeyAlias ${name}`],
      "  ProxyCommand ssh -F access/config -W %h:%p bastion",
    ]),
    ...["Host *", "  User admin", "  IdentityFile access/key", "  IdentitiesOnly yes"],
    ...["  UserKnownHostsFile access/known_hosts", "  StrictHostKeyChecking yes"],
  ].join("\n"),
);

/** The machines' host keys, which Pulumi made: nobody has to trust the first connection. */
export const knownHosts = all([cluster.bastionHostKey, cluster.memberHostKeys]).apply(
  ([bastion, members]) =>
    Object.entries({ bastion, ...members })
      .map(([name, key]) => `${name} ${key}`)
      .join("\n"),
);

export const { clientEndpoints, health } = cluster;
