import * as pulumi from "@pulumi/pulumi";

import { EtcdCluster } from "./components";
import { readStackConfig } from "./config";

const { name, args } = readStackConfig();
const cluster = new EtcdCluster(name, args);

/** `https://<address>:2379` of every member. */
export const clientEndpoints = cluster.clientEndpoints;
/** The same cluster through the balancer. */
export const loadBalancerEndpoint = cluster.loadBalancerEndpoint;
/** CA by which clients check the members, PEM. */
export const caCertificate = cluster.caCertificate;
/** The operators' client certificate, PEM. */
export const clientCertificate = cluster.clientCertificate;
/** Its key, PEM; secret. */
export const clientKey = cluster.clientKey;
/** A client certificate of its own and its key for every user of `accessControl.users`, PEM; secret. */
export const userCertificates = pulumi.secret(
  Object.fromEntries(
    Object.keys(args.accessControl?.users ?? {}).map((user) => {
      const { certificatePem, privateKeyPem } = cluster.issueClientCertificate(user);
      return [user, { certificate: certificatePem, key: privateKeyPem }];
    }),
  ),
);
/** Name, zone, address, volume and group of every member. */
export const members = cluster.members;
/** Name of the bucket with backups, artifacts and the cluster record. */
export const backupBucket = cluster.backupBucket;
/** Public address of the bastion. */
export const bastionHost = cluster.bastionHost;
/** SSH host key of the bastion. */
export const bastionHostKey = cluster.bastionHostKey;
/** SSH host keys of the members. */
export const memberHostKeys = cluster.memberHostKeys;
/** The operators' SSH key; secret. */
export const sshPrivateKey = cluster.sshPrivateKey;
/** Whoever bears this security group may reach etcd. */
export const clientSecurityGroup = cluster.clientSecurityGroup;
/** Version of etcd. */
export const etcdVersion = cluster.etcdVersion;
/** Region, cluster name and VPC, for scripts. */
export const region = args.region;
export const clusterName = args.clusterName;
export const vpcId = cluster.vpcId;
/** The topic that alarms speak to, and where they are shown. */
export const alarmTopicArn = cluster.alarmTopicArn;
export const dashboardUrl = cluster.dashboardUrl;
/** What verify saw of every member; there only when all are verified. */
export const health = cluster.health;
