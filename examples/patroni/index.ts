import * as pulumi from "@pulumi/pulumi";
import { EtcdCluster, type EtcdClusterArgs } from "etcd-cluster";

import { PatroniCluster } from "./patroniCluster";

const config = new pulumi.Config();
const region = new pulumi.Config("aws").require("region");
const adminCidrs = config.requireObject<string[]>("adminCidrs");
const artifacts = config.getObject<NonNullable<EtcdClusterArgs["artifacts"]>>("artifacts") ?? {};

const cluster = new EtcdCluster("patroni-etcd", {
  ...{ region, adminCidrs, artifacts },
  instanceType: "t3.small",
  volumeSizeGiB: 10,
  grpcGateway: true,
  monitoring: { enabled: false },
  deletionProtection: false,
});

const database = new PatroniCluster("patroni", {
  ...{ cluster, region },
  instanceType: "t3.medium",
  deletionProtection: false,
});

/** Leads libpq to the primary; the password is `password`, `sslrootcert` a file with `caCertificate`. */
export const connectionString = database.connectionString;
/** Password of the applications' user; secret. */
export const password = database.password;
/** The authority of the machines' certificates, PEM. */
export const caCertificate = database.caCertificate;
/** The PostgreSQL machines. */
export const machines = database.members;
/** The members of the etcd cluster. */
export const etcdMembers = cluster.members;
/** The way in for operators: bastion, its host key, and the SSH key (secret) for it and for all machines behind it. */
export const bastionHost = cluster.bastionHost;
export const bastionHostKey = cluster.bastionHostKey;
export const sshPrivateKey = cluster.sshPrivateKey;
