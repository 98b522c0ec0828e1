import { Config } from "@pulumi/pulumi";
import { EtcdCluster } from "etcd-cluster";

export const { clientEndpoints, health } = new EtcdCluster("minimal", {
  region: new Config("aws").require("region"),
  adminCidrs: new Config().requireObject("adminCidrs"),
  artifacts: new Config().requireObject("artifacts"),
  instanceType: "t3.small",
  deletionProtection: false,
});
