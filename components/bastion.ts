import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import * as tls from "@pulumi/tls";

import { machineScript } from "./machineFiles";
import { MachineRole } from "./machineRole";
import { bastionRolePolicy } from "./plan/iamDocuments";
import { physicalNames } from "./plan/names";
import type { ResolvedOptions } from "./plan/options";
import { memberSecrets, parameterName } from "./plan/storage";
import { renderUserData } from "./plan/userData";

/** What a Bastion needs. */
export interface BastionArgs {
  options: ResolvedOptions;
  partition: pulumi.Output<string>;
  accountId: pulumi.Output<string>;
  kmsKeyArn: pulumi.Output<string>;
  /** Public subnet it stands in. */
  subnetId: pulumi.Input<string>;
  securityGroupIds: pulumi.Input<string>[];
  /** Image; the newest at creation unless the caller pins one. */
  imageId: pulumi.Output<string>;
  /** Whether another image replaces the bastion. */
  imageIsPinned: boolean;
  /** Name of the key pair of the operators. */
  keyName: pulumi.Output<string>;
  /** What a first boot needs: the firewall, a way out. */
  bootNeeds: pulumi.Resource[];
  tags: Record<string, pulumi.Input<string>>;
}

/**
 * The one machine that can be reached from outside, by SSH only and from the administrators' blocks only:
 *
 * 1. its SSH host key as a SecureString, which the machine fetches by its own role: user data holds no key;
 * 2. a network interface with an elastic address, both outside the machine, so that a new machine is found at the old address;
 * 3. the machine.
 */
export class Bastion extends pulumi.ComponentResource {
  /** Public address. It resolves when the machine exists. */
  readonly publicIp: pulumi.Output<string>;
  /** SSH host key, `ssh-ed25519 AAAA…`. */
  readonly hostKey: pulumi.Output<string>;

  constructor(name: string, args: BastionArgs, opts?: pulumi.ComponentResourceOptions) {
    super("etcd-cluster:index:Bastion", name, {}, opts);
    const tags = { ...args.tags, Name: `${args.options.clusterName}-bastion` };
    const role = this.role(name, args);
    const { hostKey, parameter } = this.hostKeyPair(name, args);
    const networkInterface = new aws.ec2.NetworkInterface(
      name,
      {
        subnetId: args.subnetId,
        securityGroups: args.securityGroupIds,
        description: `bastion of ${args.options.clusterName}`,
        tags,
      },
      { parent: this },
    );
    const address = new aws.ec2.Eip(
      name,
      { domain: "vpc", networkInterface: networkInterface.id, tags },
      // AWS refuses the address while the VPC has no way to the internet.
      { parent: this, dependsOn: args.bootNeeds },
    );
    const machine = new aws.ec2.Instance(
      name,
      {
        ami: args.imageId,
        instanceType: args.options.bastionInstanceType,
        primaryNetworkInterface: { networkInterfaceId: networkInterface.id },
        keyName: args.keyName,
        iamInstanceProfile: role.profileName,
        userDataBase64: userData(args.options),
        userDataReplaceOnChange: true,
        metadataOptions: {
          httpEndpoint: "enabled",
          httpTokens: "required",
          httpPutResponseHopLimit: 1,
        },
        rootBlockDevice: {
          encrypted: true,
          kmsKeyId: args.kmsKeyArn,
          volumeType: "gp3",
          volumeSize: args.options.rootVolumeSizeGiB,
          deleteOnTermination: true,
        },
        tags,
      },
      {
        parent: this,
        // The interface can carry one machine at a time.
        deleteBeforeReplace: true,
        // A newer image in the catalogue must not replace the bastion in passing.
        ignoreChanges: args.imageIsPinned ? [] : ["ami"],
        dependsOn: [...args.bootNeeds, role.policy, parameter, address],
      },
    );
    this.publicIp = pulumi.all([address.publicIp, machine.id]).apply(([publicIp]) => publicIp);
    this.hostKey = hostKey;
    this.registerOutputs({ publicIp: this.publicIp, hostKey: this.hostKey });
  }

  private role(name: string, args: BastionArgs): MachineRole {
    const { clusterName, region } = args.options;
    return new MachineRole(
      name,
      {
        roleName: physicalNames(clusterName, region).role("bastion"),
        policy: pulumi
          .all([args.partition, args.accountId, args.kmsKeyArn])
          .apply(([partition, accountId, keyArn]) =>
            bastionRolePolicy({ partition, accountId, keyArn, region, cluster: clusterName }),
          ),
        tags: args.tags,
      },
      { parent: this },
    );
  }

  private hostKeyPair(
    name: string,
    args: BastionArgs,
  ): { hostKey: pulumi.Output<string>; parameter: aws.ssm.Parameter } {
    const pair = new tls.PrivateKey(`${name}-ssh-host`, { algorithm: "ED25519" }, { parent: this });
    const parameter = new aws.ssm.Parameter(
      `${name}-${memberSecrets.sshHostKey}`,
      {
        name: parameterName(args.options.clusterName, "bastion", memberSecrets.sshHostKey),
        type: "SecureString",
        keyId: args.kmsKeyArn,
        value: pulumi.secret(pair.privateKeyOpenssh),
        tags: args.tags,
      },
      { parent: this },
    );
    return { hostKey: pair.publicKeyOpenssh.apply((key) => key.trim()), parameter };
  }
}

function userData(options: ResolvedOptions): string {
  const script = machineScript("bastion.sh");
  const values = { CLUSTER: options.clusterName, REGION: options.region };
  return Buffer.from(renderUserData(script, values)).toString("base64");
}
