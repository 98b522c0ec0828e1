import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import * as tls from "@pulumi/tls";

import { agentOf } from "./plan/accessControl";
import { identityTags, memberRolePolicy } from "./plan/iamDocuments";
import type { MemberConfig } from "./plan/memberConfig";
import { physicalNames } from "./plan/names";
import type { ResolvedOptions } from "./plan/options";
import { memberSecrets, parameterName } from "./plan/storage";
import type { Shape } from "./plan/transition";
import { MachineRole } from "./machineRole";
import { ofAuthority, type IssuedForMember, type TlsAuthority } from "./tlsAuthority";

/** The secrets that belong to a certificate. */
const memberKeys = ["serverKey", "peerKey", "agentKey"] as const;

/** What all members share before any machine exists. */
export interface MemberFoundation {
  options: ResolvedOptions;
  /** Fails when what is asked for must not follow what the cluster was; nothing of a member is changed before it resolves. */
  allowed: pulumi.Output<Shape>;
  partition: pulumi.Output<string>;
  accountId: pulumi.Output<string>;
  kmsKeyArn: pulumi.Output<string>;
  bucketArn: pulumi.Output<string>;
  securityGroupId: pulumi.Output<string>;
  authority: TlsAuthority;
  /** DNS name of the balancer, which every server certificate bears. */
  balancerName: pulumi.Output<string>;
  tags: Record<string, pulumi.Input<string>>;
}

/** What a MemberIdentity needs. */
export interface MemberIdentityArgs extends MemberFoundation {
  /** Name of the member: m1, m2, … */
  member: string;
  zone: string;
  subnetId: pulumi.Input<string>;
}

/**
 * What a member is, whichever machine carries it:
 *
 * 1. a network interface with its address, and the members' security group on it;
 * 2. the encrypted data volume;
 * 3. the IAM role;
 * 4. its server, peer and agent certificates, its SSH host key, and the SecureStrings with the private keys.
 */
export class MemberIdentity extends pulumi.ComponentResource {
  /** Name of the member. */
  readonly member: string;
  /** Availability zone. */
  readonly zone: string;
  /** Address of the interface. */
  readonly address: pulumi.Output<string>;
  /** Id of the interface. */
  readonly networkInterfaceId: pulumi.Output<string>;
  /** Id of the data volume. */
  readonly volumeId: pulumi.Output<string>;
  /** Instance profile for the member's machines. */
  readonly profileName: pulumi.Output<string>;
  /** SSH host key, `ssh-ed25519 AAAA…`. */
  readonly hostKey: pulumi.Output<string>;
  /** Public certificates for the desired state. */
  readonly certificates: pulumi.Output<MemberConfig["certificates"]>;
  /** Names of the SecureStrings with the private keys of these certificates. */
  readonly parameters: MemberConfig["parameters"];
  /** What a machine needs in SSM and IAM before its first boot. */
  readonly bootNeeds: pulumi.Resource[];

  constructor(name: string, args: MemberIdentityArgs, opts?: pulumi.ComponentResourceOptions) {
    super("etcd-cluster:index:MemberIdentity", name, {}, opts);
    const { options } = args;
    this.member = args.member;
    this.zone = args.zone;
    const tags = memberTags(args.tags, options.clusterName, args.member);
    const fixedAddress = options.memberAddresses[args.member];
    const networkInterface = new aws.ec2.NetworkInterface(
      name,
      {
        subnetId: args.subnetId,
        securityGroups: [args.securityGroupId],
        ...(fixedAddress === undefined ? {} : { privateIps: [fixedAddress] }),
        description: `etcd member ${args.member} of ${options.clusterName}`,
        tags,
      },
      // A fixed address can be held by one interface at a time.
      { parent: this, deleteBeforeReplace: true },
    );
    this.networkInterfaceId = networkInterface.id;
    this.address = networkInterface.privateIp;
    this.volumeId = this.volume(name, args, tags).id;
    const role = new MachineRole(
      name,
      {
        roleName: physicalNames(options.clusterName, options.region).role(args.member),
        policy: pulumi
          .all([args.partition, args.accountId, args.bucketArn, args.kmsKeyArn])
          .apply(([partition, accountId, bucketArn, keyArn]) =>
            memberRolePolicy({
              partition,
              accountId,
              bucketArn,
              keyArn,
              region: options.region,
              cluster: options.clusterName,
              member: args.member,
              zone: args.zone,
            }),
          ),
        tags,
      },
      { parent: this },
    );
    this.profileName = role.profileName;
    const hostKey = new tls.PrivateKey(
      `${name}-ssh-host`,
      { algorithm: "ED25519" },
      { parent: this },
    );
    this.hostKey = hostKey.publicKeyOpenssh.apply((key) => key.trim());
    const issued = this.issue(args);
    const { authority } = args;
    this.certificates = pulumi
      .all([
        authority.clientRootPem,
        authority.peerRootPem,
        issued.serverKey.certificatePem,
        issued.peerKey.certificatePem,
        issued.agentKey.certificatePem,
        authority.revokedPems,
      ])
      .apply(([clientCa, peerCa, server, peer, agent, revoked]) => ({
        authorities: options.certificateAuthorities,
        clientCa,
        peerCa,
        server,
        peer,
        agent,
        revoked,
      }));
    const parameter = (what: string, value: pulumi.Output<string>): aws.ssm.Parameter =>
      new aws.ssm.Parameter(
        `${name}-${what}`,
        {
          name: parameterName(options.clusterName, args.member, what),
          type: "SecureString",
          keyId: args.kmsKeyArn,
          value: pulumi.secret(value),
          tags,
        },
        { parent: this },
      );
    const parameters = [
      parameter(memberSecrets.sshHostKey, hostKey.privateKeyOpenssh),
      // A parameter per key, never a new key in an old one: a machine that boots from the document before finds the key for it.
      ...memberKeys.flatMap((secret) =>
        [...issued[secret].privateKeyPems].map(([number, key]) =>
          parameter(`${memberSecrets[secret]}${ofAuthority(number)}`, key),
        ),
      ),
    ];
    const { signer } = authority.authorities;
    const at = (secret: keyof typeof memberSecrets, suffix = ""): string =>
      parameterName(options.clusterName, args.member, `${memberSecrets[secret]}${suffix}`);
    this.parameters = {
      serverKey: at("serverKey", ofAuthority(signer)),
      peerKey: at("peerKey", ofAuthority(signer)),
      agentKey: at("agentKey", ofAuthority(signer)),
      sshHostKey: at("sshHostKey"),
    };
    this.bootNeeds = [role.policy, ...parameters];
    this.registerOutputs({ address: this.address, volumeId: this.volumeId, hostKey: this.hostKey });
  }

  private volume(
    name: string,
    args: MemberIdentityArgs,
    tags: Record<string, pulumi.Input<string>>,
  ): aws.ebs.Volume {
    return new aws.ebs.Volume(
      name,
      {
        availabilityZone: args.zone,
        type: "gp3",
        size: args.allowed.volumeSizeGiB,
        iops: args.options.volumeIops,
        throughput: args.options.volumeThroughputMiBps,
        encrypted: true,
        kmsKeyId: args.kmsKeyArn,
        tags,
      },
      // The data outlives a destroyed stack. (Not `protect`: that would also forbid a planned change of the volume.)
      { parent: this, retainOnDelete: args.options.deletionProtection },
    );
  }

  private issue(args: MemberIdentityArgs): Record<(typeof memberKeys)[number], IssuedForMember> {
    const { member, authority } = args;
    const { domain } = args.options;
    const own = `${member}.${domain}`;
    return {
      serverKey: authority.issueServer(`${member}-server`, {
        commonName: own,
        // `domain` is what `--discovery-srv` clients check.
        dnsNames: [own, domain, args.balancerName, "localhost"],
        ipAddresses: [this.address, "127.0.0.1"],
      }),
      peerKey: authority.issuePeer(`${member}-peer`, {
        commonName: own,
        dnsNames: [own, domain],
        ipAddresses: [this.address],
      }),
      agentKey: authority.issueClient(`${member}-agent`, { commonName: agentOf(member) }),
    };
  }
}

/** Tags by which a member's things are known, to people (Name) and to IAM conditions (the others). */
export function memberTags(
  tags: Record<string, pulumi.Input<string>>,
  cluster: string,
  member: string,
): Record<string, pulumi.Input<string>> {
  return {
    ...tags,
    Name: `${cluster}-${member}`,
    [identityTags.cluster]: cluster,
    [identityTags.member]: member,
  };
}
