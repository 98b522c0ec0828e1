import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";

import { sha256, type Artifact } from "./plan/artifacts";
import { etcdEnvironment } from "./plan/etcdEnvironment";
import { renderMemberConfig, type MemberConfig } from "./plan/memberConfig";
import { physicalNames } from "./plan/names";
import type { ResolvedOptions } from "./plan/options";
import { storage } from "./plan/storage";
import type { Shape } from "./plan/transition";
import { renderUserData } from "./plan/userData";
import { memberTags, type MemberIdentity } from "./memberIdentity";

/** What the machines of all members share. */
export interface MachineFoundation {
  options: ResolvedOptions;
  /** Fails when what is asked for must not follow what the cluster was. */
  allowed: pulumi.Output<Shape>;
  bucketName: pulumi.Output<string>;
  kmsKeyArn: pulumi.Output<string>;
  artifacts: Readonly<Record<"node" | "agent" | "etcd", Artifact>>;
  /** Template of the boot script. */
  bootScript: string;
  imageId: pulumi.Output<string>;
  /** Whether the caller named the image, so that another one is a change that he wants. */
  imageIsPinned: boolean;
  keyName: pulumi.Output<string>;
  /** What a first boot needs, beside what is the member's own. */
  bootNeeds: pulumi.Resource[];
  tags: Record<string, pulumi.Input<string>>;
}

/** What a MemberMachine needs. */
export interface MemberMachineArgs extends MachineFoundation {
  identity: MemberIdentity;
  /** The configured first members. */
  initialMembers: pulumi.Output<MemberConfig["initialMembers"]>;
}

/**
 * What puts a machine under a member, and another one when that dies:
 *
 * 1. the member's desired state in the bucket, and the pointer to the approved one, which Pulumi sets only the first time;
 * 2. a launch template that names the member's own interface, and user data that names nothing which changes;
 * 3. an auto scaling group of exactly one.
 */
export class MemberMachine extends pulumi.ComponentResource {
  /** Name of the auto scaling group. */
  readonly groupName: pulumi.Output<string>;
  /** Hash of the desired state. */
  readonly configSha256: pulumi.Output<string>;

  constructor(name: string, args: MemberMachineArgs, opts?: pulumi.ComponentResourceOptions) {
    super("etcd-cluster:index:MemberMachine", name, {}, opts);
    const { options, identity } = args;
    const names = physicalNames(options.clusterName, options.region);
    const userData = bootUserData(args);
    const template = this.template(name, args, names.launchTemplate(identity.member), userData);
    const rendered = desiredState(args, template, userData).apply(renderMemberConfig);
    this.configSha256 = rendered.sha256;
    const documents = [
      new aws.s3.BucketObjectv2(
        `${name}-config`,
        {
          bucket: args.bucketName,
          key: rendered.sha256.apply((sha256) => storage.config(identity.member, sha256)),
          contentType: "application/json",
          content: rendered.text,
        },
        // A member that was not converged yet still boots from the document that was approved before.
        { parent: this, retainOnDelete: true },
      ),
      new aws.s3.BucketObjectv2(
        `${name}-approved`,
        {
          bucket: args.bucketName,
          key: storage.approved(identity.member),
          contentType: "text/plain",
          content: pulumi.interpolate`${rendered.sha256}\n`,
        },
        // Only converge moves the pointer, when it is safe; an `up` that did would change a machine in its next boot at night.
        { parent: this, ignoreChanges: ["content"] },
      ),
    ];
    const group = new aws.autoscaling.Group(
      name,
      {
        name: names.group(identity.member),
        // Zones and not subnets: only so may a launch template name an existing interface.
        availabilityZones: [identity.zone],
        minSize: 1,
        maxSize: 1,
        desiredCapacity: 1,
        launchTemplate: { id: template.id, version: template.latestVersion.apply(String) },
        healthCheckType: "EC2",
        healthCheckGracePeriod: 30,
        // Terminate, then launch: the interface and the volume can be with one machine only.
        instanceMaintenancePolicy: { minHealthyPercentage: 0, maxHealthyPercentage: 100 },
        // The wait on the bastion is the stricter one. A failed launch here is retried by AWS, and is no reason to stop.
        waitForCapacityTimeout: "0",
        tags: Object.entries(memberTags(args.tags, options.clusterName, identity.member)).map(
          ([key, value]) => ({ key, value, propagateAtLaunch: false }),
        ),
      },
      {
        parent: this,
        // Two groups would fight for one interface.
        deleteBeforeReplace: true,
        dependsOn: [...documents, ...identity.bootNeeds, ...args.bootNeeds],
      },
    );
    this.groupName = group.name;
    this.registerOutputs({ groupName: this.groupName, configSha256: this.configSha256 });
  }

  private template(
    name: string,
    args: MemberMachineArgs,
    templateName: string,
    userData: pulumi.Output<string>,
  ): aws.ec2.LaunchTemplate {
    const { options, identity } = args;
    const tags = memberTags(args.tags, options.clusterName, identity.member);
    return new aws.ec2.LaunchTemplate(
      name,
      {
        name: templateName,
        imageId: args.imageId,
        instanceType: options.instanceType,
        keyName: args.keyName,
        iamInstanceProfile: { name: identity.profileName },
        networkInterfaces: [
          {
            deviceIndex: 0,
            networkInterfaceId: identity.networkInterfaceId,
            deleteOnTermination: "false",
          },
        ],
        blockDeviceMappings: [
          {
            deviceName: "/dev/xvda",
            ebs: {
              volumeType: "gp3",
              volumeSize: options.rootVolumeSizeGiB,
              encrypted: "true",
              kmsKeyId: args.kmsKeyArn,
              deleteOnTermination: "true",
            },
          },
        ],
        metadataOptions: {
          httpEndpoint: "enabled",
          httpTokens: "required",
          httpPutResponseHopLimit: 1,
        },
        userData: userData.apply((text) => Buffer.from(text).toString("base64")),
        updateDefaultVersion: true,
        tagSpecifications: [
          { resourceType: "instance", tags },
          // Not the member's tags: the root disk must never be taken for its data volume.
          { resourceType: "volume", tags: { ...args.tags, Name: `${templateName}-root` } },
        ],
        tags,
      },
      {
        parent: this,
        // A newer image in the catalogue must not replace machines in passing; naming one in `amiId` does, member by member.
        ignoreChanges: args.imageIsPinned ? [] : ["imageId"],
      },
    );
  }
}

/** The same for every version of anything, so that a machine is not replaced for it. */
function bootUserData(args: MemberMachineArgs): pulumi.Output<string> {
  return args.bucketName.apply((bucket) =>
    renderUserData(args.bootScript, {
      CLUSTER: args.options.clusterName,
      MEMBER: args.identity.member,
      BUCKET: bucket,
      REGION: args.options.region,
    }),
  );
}

/** The template's own image is what counts: a newer one in the catalogue does not reach it. */
function desiredState(
  args: MemberMachineArgs,
  template: aws.ec2.LaunchTemplate,
  userData: pulumi.Output<string>,
): pulumi.Output<MemberConfig> {
  const { options, identity, artifacts } = args;
  const { member, zone } = identity;
  const known = pulumi
    .all([
      args.bucketName,
      identity.address,
      identity.volumeId,
      identity.certificates,
      args.initialMembers,
      args.kmsKeyArn,
      template.imageId,
      userData,
    ])
    .apply(
      ([
        bucket,
        address,
        volumeId,
        certificates,
        initialMembers,
        kmsKeyArn,
        imageId,
        bootText,
      ]): MemberConfig => ({
        schema: 1,
        cluster: options.clusterName,
        region: options.region,
        bucket,
        member,
        zone,
        address,
        volume: {
          id: volumeId,
          device: "/dev/sdf",
          sizeGiB: options.volumeSizeGiB,
          iops: options.volumeIops,
          throughputMiBps: options.volumeThroughputMiBps,
          kmsKeyArn,
        },
        machine: {
          imageId: imageId ?? "",
          instanceType: options.instanceType,
          userDataSha256: sha256(bootText),
        },
        artifacts: {
          node: { sha256: artifacts.node.sha256 },
          agent: { sha256: artifacts.agent.sha256 },
          etcd: { sha256: artifacts.etcd.sha256, version: options.etcdVersion },
        },
        etcd: {
          environment: etcdEnvironment({
            version: options.etcdVersion,
            member,
            address,
            backendQuotaGiB: options.backendQuotaGiB,
            grpcGateway: options.grpcGateway,
          }),
        },
        certificates,
        parameters: identity.parameters,
        initialMembers,
        recovery: { ...options.recovery },
        access: options.accessControl,
        backup: {
          everyMinutes: options.backup.everyMinutes,
          keepLast: options.backup.keepLast,
          drillEveryHours: options.backup.drillEveryHours,
        },
      }),
    );
  return args.allowed.apply(() => known);
}
