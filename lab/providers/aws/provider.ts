import awsPackage from "@pulumi/aws/package.json" with { type: "json" };

import type { ProviderDefinition } from "../shared/resource.ts";
import * as autoscaling from "./autoscaling.ts";
import * as cloudWatch from "./cloudWatch.ts";
import { eip } from "./ec2/addresses.ts";
import { vpcEndpoint } from "./ec2/endpoints.ts";
import { internetGateway, natGateway } from "./ec2/gateways.ts";
import { instance } from "./ec2/instance.ts";
import { networkInterface } from "./ec2/interfaces.ts";
import { keyPair } from "./ec2/keyPair.ts";
import { launchTemplate } from "./ec2/launchTemplate.ts";
import { route, routeTable, routeTableAssociation } from "./ec2/routes.ts";
import { egressRule, ingressRule, securityGroup } from "./ec2/securityGroups.ts";
import { subnet } from "./ec2/subnet.ts";
import { volume, volumeAttachment } from "./ec2/volume.ts";
import { vpc } from "./ec2/vpc.ts";
import { configFields, configure, type Aws } from "./environment.ts";
import * as iam from "./iam.ts";
import { invokes } from "./invokes.ts";
import * as kms from "./kms.ts";
import { listener } from "./lb/listener.ts";
import { loadBalancer } from "./lb/loadBalancer.ts";
import { targetGroup, targetGroupAttachment } from "./lb/targetGroup.ts";
import * as route53 from "./route53.ts";
import { bucket } from "./s3/bucket.ts";
import { bucketObject } from "./s3/object.ts";
import { bucketSettings } from "./s3/settings.ts";
import * as sns from "./sns.ts";
import { parameter } from "./ssm.ts";

/** The stand-in for @pulumi/aws: the types and arguments that the program uses, by calls of the AWS API. */
export const aws: ProviderDefinition<Aws> = {
  name: "aws",
  version: awsPackage.version,
  config: configFields,
  configure,
  resources: [
    vpc,
    subnet,
    internetGateway,
    natGateway,
    routeTable,
    route,
    routeTableAssociation,
    eip,
    vpcEndpoint,
    securityGroup,
    ingressRule,
    egressRule,
    networkInterface,
    keyPair,
    launchTemplate,
    instance,
    volume,
    volumeAttachment,
    autoscaling.group,
    iam.role,
    iam.rolePolicy,
    iam.rolePolicyAttachment,
    iam.instanceProfile,
    kms.key,
    kms.alias,
    parameter,
    bucket,
    ...bucketSettings,
    bucketObject,
    route53.zone,
    route53.record,
    loadBalancer,
    targetGroup,
    targetGroupAttachment,
    listener,
    sns.topic,
    sns.topicSubscription,
    cloudWatch.metricAlarm,
    cloudWatch.dashboard,
  ],
  invokes,
};
