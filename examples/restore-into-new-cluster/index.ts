import { Config } from "@pulumi/pulumi";
import { EtcdCluster } from "etcd-cluster";

const config = new Config();

// The same program for both: what differs is in the stacks' files. They may be in different accounts and regions.
const cluster = new EtcdCluster("etcd", {
  region: new Config("aws").require("region"),
  adminCidrs: config.requireObject("adminCidrs"),
  artifacts: config.requireObject("artifacts"),
  clusterName: config.require("clusterName"),
  size: config.requireNumber("size"),
  vpcCidr: config.require("vpcCidr"),
  instanceType: "t3.small",
  deletionProtection: false,
});

export const { clientEndpoints, backupBucket, health } = cluster;
