import * as aws from "@pulumi/aws";
import { Config } from "@pulumi/pulumi";
import { EtcdCluster } from "etcd-cluster";
import { diskKey } from "./diskKey";
import { OurNetwork } from "./network";

const config = new Config();
const region = new Config("aws").require("region");

// What is there already: made by another part of the program, or looked up.
const network = new OurNetwork(
  "ours",
  ["a", "b", "c"].map((letter) => region + letter),
);
const key = diskKey("disks");
const onCall = new aws.sns.Topic("on-call");

const cluster = new EtcdCluster("shared", {
  region,
  existingNetwork: { vpcId: network.vpcId, subnets: [...network.subnets] },
  kmsKeyArn: key.arn,
  monitoring: { topicArn: onCall.arn },
  tags: { team: "platform" },
  adminCidrs: config.requireObject("adminCidrs"),
  artifacts: config.requireObject("artifacts"),
  instanceType: "t3.small",
  deletionProtection: false,
});

export const vpcId = network.vpcId;
export const alarmTopicArn = cluster.alarmTopicArn;
export const keyArn = key.arn;
export const onCallArn = onCall.arn;
export const clientSecurityGroup = cluster.clientSecurityGroup;
export const { clientEndpoints, members, health } = cluster;
