import { existsSync } from "node:fs";
import { join } from "node:path";

import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { EtcdCluster, type EtcdClusterArgs } from "etcd-cluster";

import { PatroniCluster } from "../patroni/patroniCluster";
import { timing as patroni } from "../patroni/plan";
import { detectionSeconds, timing } from "./timing";
import { WebTier } from "./webTier";

const config = new pulumi.Config();
const region = new pulumi.Config("aws").require("region");
const vpcCidr = "10.43.0.0/16";

const cluster = new EtcdCluster("web-etcd", {
  region,
  vpcCidr,
  adminCidrs: config.requireObject<string[]>("adminCidrs"),
  artifacts: config.getObject<NonNullable<EtcdClusterArgs["artifacts"]>>("artifacts") ?? {},
  instanceType: "t3.small",
  volumeSizeGiB: 10,
  // Patroni speaks JSON to etcd.
  grpcGateway: true,
  monitoring: { enabled: false },
  deletionProtection: false,
});

/** Whoever bears this group may reach the database. */
const databaseClients = new aws.ec2.SecurityGroup("web-database-clients", {
  vpcId: cluster.vpcId,
  description: "clients of the database",
});
const database = new PatroniCluster("web-db", {
  ...{ cluster, region },
  clientSecurityGroups: { web: databaseClients.id },
  instanceType: "t3.medium",
  deletionProtection: false,
});

const certificate = cluster.issueClientCertificate("web-app");
const web = new WebTier("web", {
  ...{ region, vpcId: cluster.vpcId, clientCidrs: [vpcCidr] },
  instanceType: "t3.small",
  // Two of the cluster's three zones.
  subnetIds: Object.fromEntries(Object.entries(cluster.privateSubnetIds).slice(0, 2)),
  joins: [cluster.clientSecurityGroup, databaseClients.id],
  bastion: {
    host: cluster.bastionHost,
    hostKey: cluster.bastionHostKey,
    securityGroupId: cluster.bastionSecurityGroup,
    keyName: cluster.keyName,
    privateKey: cluster.sshPrivateKey,
  },
  releaseFile: releaseFile(config.require("appVersion")),
  settings: (machine) =>
    pulumi
      .all([
        cluster.clientEndpoints,
        database.hosts,
        database.password,
        database.caCertificate,
        config.requireSecret("adminToken"),
      ])
      .apply(([endpoints, hosts, password, ca, adminToken]) => ({
        ...{ machine, port: 8080, adminToken, requestSeconds: timing.request },
        etcd: { endpoints, lockSeconds: timing.schedulerLock },
        database: {
          ...{ hosts, port: database.port, name: database.database, user: database.user },
          ...{ password, ca },
        },
      })),
  certificates: pulumi
    .all([cluster.caCertificate, certificate.certificatePem, certificate.privateKeyPem])
    .apply(([ca, pem, key]) => ({ ca, certificate: pem, key })),
  tags: {},
});

/** The app, inside the VPC. */
export const url = pulumi.interpolate`http://${web.dnsName}`;
/** The release that runs, and where. */
export const appVersion = config.require("appVersion");
export const machines = web.machines;
/** For how long requests may fail after a loss, seconds, by what is lost; and how soon another machine schedules. */
export const bounds = {
  machine: detectionSeconds,
  databasePrimary: patroni.ttl + patroni.loop_wait,
  scheduler: timing.schedulerLock,
};
/** The database's machines. */
export const databaseMachines = database.members;
/** The members of the etcd cluster. */
export const etcdMembers = cluster.members;
/** The way in for operators: bastion, its host key, and the SSH key (secret) for it and for all machines behind it. */
export const bastionHost = cluster.bastionHost;
export const bastionHostKey = cluster.bastionHostKey;
export const sshPrivateKey = cluster.sshPrivateKey;

/** The file of a release; it has to be made before it can be deployed. */
function releaseFile(version: string): string {
  if (!/^\d+\.\d+\.\d+$/.test(version)) {
    throw new pulumi.RunError(
      `ha-web-app:appVersion: ${JSON.stringify(version)} is no version like 1.0.0; set it with \`pulumi config set appVersion 1.0.0\``,
    );
  }
  const file = join(__dirname, "dist", `web-app-${version}.tar.gz`);
  if (!existsSync(file)) {
    throw new pulumi.RunError(
      `ha-web-app:appVersion: there is no release ${version} (${file}); make it with \`npm run release -- ${version}\``,
    );
  }
  return file;
}
