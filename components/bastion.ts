import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";

/** What a Bastion needs. */
export interface BastionArgs {
  /** Public subnet it stands in. */
  subnetId: pulumi.Input<string>;
  securityGroupIds: pulumi.Input<string>[];
  /** Image; the newest at creation unless the caller pins one. */
  imageId: pulumi.Input<string>;
  /** Whether another image replaces the bastion. */
  imageIsPinned: boolean;
  instanceType: string;
  keyName: pulumi.Input<string>;
  instanceProfileName: pulumi.Input<string>;
  /** User data, not base64. */
  userData: string;
  kmsKeyArn: pulumi.Input<string>;
  /** What its first boot needs beside the arguments: its host key in SSM, its role's policy, the firewall, a way out. */
  bootsAfter: pulumi.Input<pulumi.Resource[]>;
  clusterName: string;
  tags: Record<string, pulumi.Input<string>>;
}

/**
 * The one machine that can be reached from outside, by SSH only and from the administrators' blocks only:
 *
 * 1. a network interface with an elastic address, both outside the machine, so that a new machine is found at the old address;
 * 2. the machine. It fetches its SSH host key as a SecureString by its own role; user data holds no key.
 */
export class Bastion extends pulumi.ComponentResource {
  /** Public address. It resolves when the machine exists. */
  readonly publicIp: pulumi.Output<string>;

  constructor(name: string, args: BastionArgs, opts?: pulumi.ComponentResourceOptions) {
    super("etcd-cluster:index:Bastion", name, {}, opts);
    const tags = { ...args.tags, Name: `${args.clusterName}-bastion` };
    const networkInterface = new aws.ec2.NetworkInterface(
      name,
      {
        subnetId: args.subnetId,
        securityGroups: args.securityGroupIds,
        description: `bastion of ${args.clusterName}`,
        tags,
      },
      { parent: this },
    );
    const address = new aws.ec2.Eip(
      name,
      { domain: "vpc", networkInterface: networkInterface.id, tags },
      // AWS refuses the address while the VPC has no way to the internet.
      { parent: this, dependsOn: args.bootsAfter },
    );
    const machine = new aws.ec2.Instance(
      name,
      {
        ami: args.imageId,
        instanceType: args.instanceType,
        primaryNetworkInterface: { networkInterfaceId: networkInterface.id },
        keyName: args.keyName,
        iamInstanceProfile: args.instanceProfileName,
        userDataBase64: Buffer.from(args.userData).toString("base64"),
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
          volumeSize: 8,
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
        dependsOn: pulumi.output(args.bootsAfter).apply((resources) => [...resources, address]),
      },
    );
    this.publicIp = pulumi.all([address.publicIp, machine.id]).apply(([publicIp]) => publicIp);
    this.registerOutputs({ publicIp: this.publicIp });
  }
}
