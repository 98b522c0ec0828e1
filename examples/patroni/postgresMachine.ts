import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import * as tls from "@pulumi/tls";

import { machineFiles, machinePolicy, parameterName, userData, type MachineFile } from "./plan";

/** What all machines share. */
export interface MachineBasis {
  /** Name of the Patroni cluster; it begins every physical name. */
  readonly scope: string;
  readonly region: string;
  readonly partition: pulumi.Output<string>;
  readonly accountId: pulumi.Output<string>;
  readonly keyArn: pulumi.Output<string>;
  readonly securityGroupIds: pulumi.Input<string>[];
  readonly imageId: pulumi.Output<string>;
  readonly keyName: pulumi.Output<string>;
  readonly instanceType: string;
  readonly volumeSizeGiB: number;
  /** Whether the volume stays when the machine is destroyed. */
  readonly keepData: boolean;
  /** What a first boot needs: the firewall. */
  readonly bootNeeds: pulumi.Resource[];
  readonly tags: Record<string, pulumi.Input<string>>;
}

/** What one machine is. */
export interface PostgresMachineArgs extends MachineBasis {
  /** Its name: pg1, pg2, … */
  readonly machine: string;
  readonly zone: string;
  readonly subnetId: pulumi.Output<string>;
}

/** Values of the machine's files; its SSH host key is its own affair. */
export type Secrets = Readonly<
  Record<Exclude<MachineFile, "ssh_host_ed25519_key">, pulumi.Input<string>>
>;

/**
 * A machine for PostgreSQL:
 *
 * 1. a network interface, whose address outlives the machine, and an encrypted volume for the data, which does so too;
 * 2. a role that reads this machine's parameters and nothing else, and its SSH host key;
 * 3. by `start`, its secrets as SecureStrings, the machine itself, and the volume attached to it.
 */
export class PostgresMachine extends pulumi.ComponentResource {
  /** Its name. */
  readonly machine: string;
  /** Availability zone. */
  readonly zone: string;
  /** Private address. */
  readonly address: pulumi.Output<string>;
  /** Id of the data volume. */
  readonly volumeId: pulumi.Output<string>;
  /** SSH host key, `ssh-ed25519 AAAA…`. */
  readonly hostKey: pulumi.Output<string>;

  private readonly base: string;
  private readonly args: PostgresMachineArgs;
  private readonly card: aws.ec2.NetworkInterface;
  private readonly sshKey: tls.PrivateKey;

  constructor(name: string, args: PostgresMachineArgs, opts?: pulumi.ComponentResourceOptions) {
    super("patroni:index:PostgresMachine", name, {}, opts);
    this.base = name;
    this.args = args;
    const tags = this.tags();
    this.machine = args.machine;
    this.zone = args.zone;
    this.card = new aws.ec2.NetworkInterface(
      name,
      {
        subnetId: args.subnetId,
        securityGroups: args.securityGroupIds,
        description: `${args.machine} of ${args.scope}`,
        tags,
      },
      { parent: this },
    );
    this.address = this.card.privateIp;
    this.volumeId = new aws.ebs.Volume(
      name,
      {
        availabilityZone: args.zone,
        size: args.volumeSizeGiB,
        type: "gp3",
        encrypted: true,
        kmsKeyId: args.keyArn,
        tags,
      },
      { parent: this, retainOnDelete: args.keepData },
    ).id;
    this.sshKey = new tls.PrivateKey(
      `${name}-ssh-host`,
      { algorithm: "ED25519" },
      { parent: this },
    );
    this.hostKey = this.sshKey.publicKeyOpenssh.apply((key) => key.trim());
    this.registerOutputs({ address: this.address, volumeId: this.volumeId, hostKey: this.hostKey });
  }

  /** Makes the machine, once its secrets are known: they depend on the addresses of all machines. */
  start(secrets: Secrets): aws.ec2.Instance {
    const { args, base } = this;
    const parameters = this.parameters({
      ...secrets,
      ssh_host_ed25519_key: pulumi.secret(this.sshKey.privateKeyOpenssh),
    });
    const role = this.role();
    const instance = new aws.ec2.Instance(
      base,
      {
        ami: args.imageId,
        instanceType: args.instanceType,
        primaryNetworkInterface: { networkInterfaceId: this.card.id },
        keyName: args.keyName,
        iamInstanceProfile: role.profileName,
        userDataBase64: this.volumeId.apply((volumeId) =>
          Buffer.from(userData({ ...args, volumeId }, machineFile)).toString("base64"),
        ),
        metadataOptions: {
          httpEndpoint: "enabled",
          httpTokens: "required",
          httpPutResponseHopLimit: 1,
        },
        rootBlockDevice: {
          encrypted: true,
          kmsKeyId: args.keyArn,
          volumeType: "gp3",
          volumeSize: 10,
          deleteOnTermination: true,
        },
        tags: this.tags(),
      },
      {
        parent: this,
        // The interface can carry one machine at a time.
        deleteBeforeReplace: true,
        // Neither a newer image nor another type or script stops three databases in passing; README.md says how to do it one by one.
        ignoreChanges: ["ami", "instanceType", "userDataBase64"],
        dependsOn: [...args.bootNeeds, ...parameters, role.policy],
      },
    );
    new aws.ec2.VolumeAttachment(
      base,
      {
        deviceName: "/dev/sdf",
        instanceId: instance.id,
        volumeId: this.volumeId,
        // PostgreSQL is asked to end before its disk goes.
        stopInstanceBeforeDetaching: true,
      },
      { parent: this, deleteBeforeReplace: true },
    );
    return instance;
  }

  private tags(): Record<string, pulumi.Input<string>> {
    return { ...this.args.tags, Name: `${this.args.scope}-${this.args.machine}` };
  }

  private parameters(values: Readonly<Record<MachineFile, pulumi.Input<string>>>) {
    const { scope, machine, keyArn, tags } = this.args;
    return (Object.keys(machineFiles) as MachineFile[]).map(
      (file) =>
        new aws.ssm.Parameter(
          `${this.base}-${file}`,
          {
            name: parameterName(scope, machine, file),
            type: "SecureString",
            keyId: keyArn,
            value: values[file],
            tags,
          },
          { parent: this },
        ),
    );
  }

  private role(): { profileName: pulumi.Output<string>; policy: aws.iam.RolePolicy } {
    const { scope, machine, region, partition, accountId, keyArn, tags } = this.args;
    // IAM is global, so the name has the region in it.
    const name = `${scope}-${machine}-${region}`;
    const role = new aws.iam.Role(
      this.base,
      {
        name,
        assumeRolePolicy: JSON.stringify({
          Version: "2012-10-17",
          Statement: [
            {
              Sid: "MachinesOnly",
              Effect: "Allow",
              Principal: { Service: "ec2.amazonaws.com" },
              Action: "sts:AssumeRole",
            },
          ],
        }),
        tags,
      },
      { parent: this },
    );
    const policy = new aws.iam.RolePolicy(
      this.base,
      {
        name: "machine",
        role: role.name,
        policy: pulumi.all([partition, accountId, keyArn]).apply(([partitionName, account, key]) =>
          machinePolicy({
            ...{ partition: partitionName, accountId: account, keyArn: key },
            ...{ region, scope, machine },
          }),
        ),
      },
      { parent: this },
    );
    const profile = new aws.iam.InstanceProfile(
      this.base,
      { name, role: role.name, tags },
      { parent: this },
    );
    return { profileName: profile.name, policy };
  }
}

/** A file that goes onto machines. */
export function machineFile(name: string): string {
  return readFileSync(join(__dirname, "machine", name), "utf8");
}
