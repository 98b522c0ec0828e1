import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import * as tls from "@pulumi/tls";

import { BackupBucket } from "./backupBucket";
import { Bastion } from "./bastion";
import { ClusterKey } from "./clusterKey";
import { connectionOf, type EtcdConnection } from "./connection";
import { Discovery } from "./discovery";
import type { EtcdClusterArgs } from "./etcdClusterArgs";
import { EtcdNodeGroup, type MemberSummary } from "./etcdNodeGroup";
import { Firewall } from "./firewall";
import { LoadBalancer } from "./loadBalancer";
import { Monitoring } from "./monitoring";
import { agentArtifact, machineScript, resolveArtifact } from "./machineFiles";
import { Network } from "./network";
import { consumerNameProblem, operator as operatorName } from "./plan/accessControl";
import { forms, readForms, withoutBroken, type FormWords } from "./plan/forms";
import type { MemberHealth } from "./plan/health";
import { identityTags } from "./plan/iamDocuments";
import { physicalNames } from "./plan/names";
import { resolveOptions, type ResolvedOptions } from "./plan/options";
import { ports } from "./plan/ports";
import { prometheusRules } from "./plan/prometheusRules";
import { describeProblems } from "./plan/problems";
import type { Shape } from "./plan/transition";
import { validate } from "./plan/validate";
import { inRegion, knownRegion, regionProblems } from "./providerRegion";
import { TlsAuthority, type IssuedCertificate } from "./tlsAuthority";
import { Transition } from "./transition";

/** Debian's account at AWS, and its images for amd64. */
const debian = { owner: "136693071363", name: "debian-13-amd64-*", architecture: "x86_64" };

/** Who signs for a cluster's clients. Not a field: to other languages every field is an output, private ones too. */
const signers = new WeakMap<EtcdCluster, TlsAuthority>();

/** A client's own certificate, its key, and all that its library needs. */
export interface ClientCertificate extends IssuedCertificate {
  /** Endpoints, authorities, certificate and key in one object; a secret. */
  connection: pulumi.Output<EtcdConnection>;
}

/**
 * An etcd cluster on AWS that keeps itself alive. It makes:
 *
 * 1. a KMS key, and the backup bucket with the machines' artifacts;
 * 2. a VPC over several zones (or uses yours), and the security groups;
 * 3. two certificate authorities, and every member's certificates;
 * 4. per member: an address, an encrypted volume, an IAM role, and an auto scaling group of one machine;
 * 5. an internal network load balancer, DNS names and SRV records;
 * 6. a bastion, through which Pulumi bootstraps and verifies every member, one after another;
 * 7. alarms, a topic for them, and a dashboard.
 *
 * It costs what its machines, volumes, NAT gateways, balancer, metrics and alarms cost. Nothing is created when anything that was asked
 * for cannot be built.
 */
export class EtcdCluster extends pulumi.ComponentResource {
  /** The members' endpoints, `https://<address>:2379`; clients do best with these. */
  readonly clientEndpoints: pulumi.Output<string[]>;
  /** The balancer's endpoint, for clients that can have only one. */
  readonly loadBalancerEndpoint: pulumi.Output<string>;
  /** Authorities by which clients check the members, PEM: one, or two while one is exchanged for another. */
  readonly caCertificate: pulumi.Output<string>;
  /** A client certificate for operators, PEM. */
  readonly clientCertificate: pulumi.Output<string>;
  /** Its key, PEM; a secret. */
  readonly clientKey: pulumi.Output<string>;
  /** The members. */
  readonly members: pulumi.Output<MemberSummary[]>;
  /** Name of the bucket. */
  readonly backupBucket: pulumi.Output<string>;
  /** Public address of the bastion. */
  readonly bastionHost: pulumi.Output<string>;
  /** SSH host key of the bastion. */
  readonly bastionHostKey: pulumi.Output<string>;
  /** SSH host keys of the members by name. */
  readonly memberHostKeys: pulumi.Output<Record<string, string>>;
  /** The operator's SSH key, OpenSSH format; a secret. */
  readonly sshPrivateKey: pulumi.Output<string>;
  /** Name in EC2 of the operators' key pair, for other machines that they are to reach. */
  readonly keyName: pulumi.Output<string>;
  /** Id of the security group whose bearers may reach etcd. */
  readonly clientSecurityGroup: pulumi.Output<string>;
  /**
   * Id of the bastion's security group. Other machines that are to be reached through the bastion let it in, and add a rule that lets it
   * out to them.
   */
  readonly bastionSecurityGroup: pulumi.Output<string>;
  /** Ids of the private subnets by zone, for machines that live beside the cluster. */
  readonly privateSubnetIds: Readonly<Record<string, pulumi.Output<string>>>;
  /**
   * The operators' connection: endpoints, authorities, certificate and key in one object; a secret. Other clients have one of their own:
   * `issueClientCertificate("app").connection`.
   */
  readonly connection: pulumi.Output<EtcdConnection>;
  /** Version of etcd that was asked for. */
  readonly etcdVersion: string;
  /** Id of the VPC. */
  readonly vpcId: pulumi.Output<string>;
  /** ARN of the topic that alarms speak to; undefined without monitoring. */
  readonly alarmTopicArn: pulumi.Output<string> | undefined;
  /** Where the dashboard is in CloudWatch's console; undefined without monitoring. */
  readonly dashboardUrl: pulumi.Output<string> | undefined;
  /** The alarms as a rules file of Prometheus, YAML. */
  readonly prometheusRules: string;
  /** Every member's health when it was last verified; it resolves only after all were. */
  readonly health: pulumi.Output<MemberHealth[]>;

  constructor(name: string, args: EtcdClusterArgs, opts?: pulumi.ComponentResourceOptions) {
    super("etcd-cluster:index:EtcdCluster", name, {}, opts);
    const provided = knownRegion(this);
    const options = validated(name, args, provided);
    const { clusterName, region, deletionProtection } = options;
    const names = physicalNames(clusterName, region);
    const tags = { ...args.tags, [identityTags.cluster]: clusterName };
    const inside = { parent: this };
    const transition = new Transition(`${name}-transition`, shapeOf(options, args), inside);
    const { accountId: account } = aws.getCallerIdentityOutput({}, inside);
    const accountId = inRegion(account, region, provided, inside);
    const partition = aws.getPartitionOutput({}, inside).partition;

    const key = new ClusterKey(
      `${name}-key`,
      {
        ...{ clusterName, alias: names.keyAlias, partition, accountId, deletionProtection, tags },
        alarmRegion: hasOwnTopic(options) ? region : undefined,
        ...{ existing: args.kmsKeyArn, region },
      },
      inside,
    );
    const artifacts = {
      node: resolveArtifact(options.artifacts.node),
      etcd: resolveArtifact(options.artifacts.etcd),
      agent: agentArtifact(),
    };
    const bucket = new BackupBucket(
      `${name}-backup`,
      {
        bucketName: accountId.apply(names.bucket),
        keyArn: key.arn,
        artifacts,
        keepDays: options.backup.keepDays,
        deletionProtection,
        tags,
      },
      inside,
    );
    const network = new Network(
      `${name}-network`,
      { ...options, existing: args.existingNetwork, tags },
      inside,
    );
    const firewall = new Firewall(
      `${name}-firewall`,
      {
        ...options,
        vpcId: network.vpcId,
        endpointSecurityGroupId: network.endpointSecurityGroupId,
        tags,
      },
      inside,
    );
    const authority = new TlsAuthority(
      `${name}-tls`,
      {
        clusterName,
        validityDays: options.certificateValidityDays,
        renewalDays: options.certificateRenewalDays,
        authorities: options.certificateAuthorities,
      },
      inside,
    );
    const balancer = new LoadBalancer(
      `${name}-balancer`,
      {
        balancerName: names.balancer,
        targetGroupName: names.targetGroup,
        vpcId: network.vpcId,
        subnetIds: Object.values(network.privateSubnetIds),
        securityGroupId: firewall.groupIds.balancer,
        deletionProtection,
        tags,
      },
      inside,
    );
    const operator = new tls.PrivateKey(`${name}-operator`, { algorithm: "ED25519" }, inside);
    const keyPair = new aws.ec2.KeyPair(
      `${name}-operator`,
      {
        keyName: names.keyPair,
        publicKey: operator.publicKeyOpenssh.apply((pem) => pem.trim()),
        tags,
      },
      inside,
    );
    const machines = {
      options,
      allowed: transition.allowed,
      partition,
      accountId,
      kmsKeyArn: key.arn,
      imageId: args.amiId === undefined ? newestImage(inside) : pulumi.output(args.amiId),
      imageIsPinned: args.amiId !== undefined,
      keyName: keyPair.keyName,
      bootNeeds: [...firewall.rules, ...network.waysOut],
      tags,
    };
    const bastion = new Bastion(
      `${name}-bastion`,
      {
        ...machines,
        subnetId: network.publicSubnetIds[options.zones[0] ?? ""] ?? "",
        // A client like any other, so that operators reach etcd by a tunnel.
        securityGroupIds: [firewall.groupIds.bastion, firewall.groupIds.clients],
      },
      inside,
    );
    const nodes = new EtcdNodeGroup(
      name,
      {
        foundation: {
          ...machines,
          bucketArn: bucket.bucketArn,
          securityGroupId: firewall.groupIds.members,
          authority,
          balancerName: balancer.dnsName,
        },
        machines: {
          ...machines,
          bucketName: bucket.bucketName,
          artifacts,
          bootScript: machineScript("boot.sh"),
          bootNeeds: [...machines.bootNeeds, ...bucket.artifacts],
        },
        subnetIds: network.privateSubnetIds,
        ssh: {
          bastionHost: bastion.publicIp,
          bastionHostKey: bastion.hostKey,
          privateKey: operator.privateKeyOpenssh,
        },
      },
      inside,
    );
    for (const { member, address } of nodes.identities) {
      balancer.attach(member, address, nodes.inService);
    }
    new Discovery(
      `${name}-names`,
      {
        ...{ vpcId: network.vpcId, domain: options.domain, members: nodes.identities, tags },
        inService: nodes.inService,
      },
      inside,
    );
    const { topicArn } = args.monitoring ?? {};
    const monitoring = options.monitoring.enabled
      ? new Monitoring(
          `${name}-monitoring`,
          {
            ...{ basis: options, region, partition, accountId, keyArn: key.arn, topicArn, tags },
            ...{ email: options.monitoring.email, members: nodes },
          },
          inside,
        )
      : undefined;
    const client = authority.issueClient("operator", { commonName: operatorName });

    signers.set(this, authority);
    this.clientEndpoints = pulumi
      .all(nodes.identities.map(({ address }) => address))
      .apply((addresses) => addresses.map((address) => `https://${address}:${ports.client}`));
    this.loadBalancerEndpoint = balancer.endpoint;
    this.caCertificate = authority.caBundlePem;
    this.clientCertificate = client.certificatePem;
    this.clientKey = client.privateKeyPem;
    this.connection = connectionOf(this, client);
    this.members = nodes.members;
    this.backupBucket = bucket.bucketName;
    this.bastionHost = bastion.publicIp;
    this.bastionHostKey = bastion.hostKey;
    this.memberHostKeys = pulumi.all(
      Object.fromEntries(nodes.identities.map(({ member, hostKey }) => [member, hostKey])),
    );
    this.sshPrivateKey = pulumi.secret(operator.privateKeyOpenssh);
    this.keyName = keyPair.keyName;
    this.clientSecurityGroup = firewall.groupIds.clients;
    this.bastionSecurityGroup = firewall.groupIds.bastion;
    this.privateSubnetIds = network.privateSubnetIds;
    this.etcdVersion = options.etcdVersion;
    this.vpcId = network.vpcId;
    this.alarmTopicArn = monitoring?.topicArn;
    this.dashboardUrl = monitoring?.dashboardUrl;
    this.prometheusRules = prometheusRules(options);
    this.health = nodes.health;
    transition.complete(nodes.health);
    this.registerOutputs({
      clientEndpoints: this.clientEndpoints,
      loadBalancerEndpoint: this.loadBalancerEndpoint,
      members: this.members,
      health: this.health,
    });
  }

  /**
   * A client certificate of its own for a consumer, for instance `issueClientCertificate("patroni")`. The name becomes the
   * certificate's common name, which is etcd's user name when access control is on: `accessControl.users` gives it rights. The result's
   * `connection` is all that the consumer needs.
   */
  issueClientCertificate(consumer: string): ClientCertificate {
    const problem = consumerNameProblem(consumer);
    if (problem !== undefined) {
      throw new pulumi.InputPropertyError({
        propertyPath: "consumer",
        reason: `${JSON.stringify(consumer)}: ${problem.rule}; ${problem.remedy}`,
      });
    }
    const issued = signers.get(this)?.issueClient(`consumer-${consumer}`, { commonName: consumer });
    if (issued === undefined) {
      throw new Error("a cluster that was not built has nobody to sign");
    }
    const { certificatePem, privateKeyPem } = issued;
    return { certificatePem, privateKeyPem, connection: connectionOf(this, issued) };
  }
}

/** The form of every argument; a new argument without one does not compile. */
const argumentForms: Readonly<Record<keyof EtcdClusterArgs, unknown>> = forms;

/** How problems speak of arguments. */
const words: FormWords = {
  thing: "argument",
  names: Object.keys(argumentForms) as (keyof EtcdClusterArgs)[],
  remedy: "correct it; docs/reference/etcdCluster.md has every argument",
};

/**
 * Checks everything that can be checked before anything exists, and fills in the defaults. Programs are not always type-checked (Pulumi
 * can leave that out), and not always TypeScript.
 */
function validated(
  name: string,
  args: EtcdClusterArgs,
  providerRegion: string | undefined,
): ResolvedOptions {
  const form = readForms(Object(args) as Record<string, unknown>, words);
  const options = resolveOptions(name, { region: "", adminCidrs: [], ...form.values });
  const found = [...validate(options), ...regionProblems(options.region, providerRegion)];
  const problems = [...form.problems, ...withoutBroken(found, form.problems)];
  if (problems.length > 0) {
    throw new pulumi.InputPropertiesError({
      message: describeProblems(problems),
      errors: problems.map(({ path, rule, remedy }) => ({
        propertyPath: path,
        reason: `${rule}; ${remedy}`,
      })),
    });
  }
  return options;
}

/** What the next run is measured against. */
function shapeOf(options: ResolvedOptions, { kmsKeyArn }: EtcdClusterArgs): pulumi.Output<Shape> {
  const { etcdVersion, size, volumeSizeGiB, certificateAuthorities } = options;
  return pulumi
    .output(kmsKeyArn ?? "")
    .apply((kmsKey) => ({ etcdVersion, size, volumeSizeGiB, certificateAuthorities, kmsKey }));
}

/** Whether alarms speak to a topic of the cluster's own. */
function hasOwnTopic({ monitoring }: ResolvedOptions): boolean {
  return monitoring.enabled && monitoring.topicArn === undefined;
}

/** The newest Debian image; what is built with it ignores later ones. */
function newestImage(inside: pulumi.InvokeOptions): pulumi.Output<string> {
  return aws.ec2.getAmiOutput(
    {
      mostRecent: true,
      owners: [debian.owner],
      filters: [
        { name: "name", values: [debian.name] },
        { name: "architecture", values: [debian.architecture] },
      ],
    },
    inside,
  ).id;
}
