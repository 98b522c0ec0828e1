import { readFileSync } from "node:fs";
import { join } from "node:path";

import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import * as tls from "@pulumi/tls";

import { userData } from "./userData";

/** What a WebMachine needs. */
export interface WebMachineArgs {
  region: string;
  instanceType: string;
  /** Its private subnet. */
  subnetId: pulumi.Input<string>;
  securityGroupIds: pulumi.Input<string>[];
  imageId: pulumi.Input<string>;
  /** Key pair of whoever deploys. */
  keyName: pulumi.Input<string>;
  /** The target group whose target it is. */
  targetGroupArn: pulumi.Output<string>;
  tags: Record<string, pulumi.Input<string>>;
}

/**
 * A machine for the app, with nothing of the app on it yet:
 *
 * 1. its SSH host key, as a SecureString that only this machine may read;
 * 2. a role with which it takes itself out of the target group and back in;
 * 3. an interface whose address stays when the machine is another one;
 * 4. the machine, with nginx and Node from Debian's packages.
 */
export class WebMachine extends pulumi.ComponentResource {
  /** Its address. */
  readonly address: pulumi.Output<string>;
  /** Its SSH host key, `ssh-ed25519 AAAA…`. */
  readonly hostKey: pulumi.Output<string>;
  /** Id of the instance: another one has to be deployed to. */
  readonly instanceId: pulumi.Output<string>;

  constructor(name: string, args: WebMachineArgs, opts?: pulumi.ComponentResourceOptions) {
    super("ha-web-app:index:WebMachine", name, {}, opts);
    const tags = { ...args.tags, Name: name };
    const inside = { parent: this };
    const host = new tls.PrivateKey(`${name}-ssh-host`, { algorithm: "ED25519" }, inside);
    const parameter = new aws.ssm.Parameter(
      `${name}-ssh-host`,
      {
        name: `/ha-web-app/${pulumi.getStack()}/${name}/ssh-host-key`,
        type: "SecureString",
        value: pulumi.secret(host.privateKeyOpenssh),
        tags,
      },
      inside,
    );
    const role = new aws.iam.Role(
      name,
      {
        assumeRolePolicy: JSON.stringify({
          Version: "2012-10-17",
          Statement: [
            {
              Effect: "Allow",
              Principal: { Service: "ec2.amazonaws.com" },
              Action: "sts:AssumeRole",
            },
          ],
        }),
        tags,
      },
      inside,
    );
    const policy = new aws.iam.RolePolicy(
      name,
      {
        role: role.name,
        policy: pulumi.all([args.targetGroupArn, parameter.arn]).apply(([group, secret]) =>
          JSON.stringify({
            Version: "2012-10-17",
            Statement: [
              { Effect: "Allow", Action: "ssm:GetParameter", Resource: secret },
              {
                Effect: "Allow",
                Action: [
                  "elasticloadbalancing:DeregisterTargets",
                  "elasticloadbalancing:RegisterTargets",
                ],
                Resource: group,
              },
              // AWS knows no resource for it.
              {
                Effect: "Allow",
                Action: "elasticloadbalancing:DescribeTargetHealth",
                Resource: "*",
              },
            ],
          }),
        ),
      },
      inside,
    );
    const profile = new aws.iam.InstanceProfile(name, { role: role.name, tags }, inside);
    const networkInterface = new aws.ec2.NetworkInterface(
      name,
      { subnetId: args.subnetId, securityGroups: args.securityGroupIds, tags },
      inside,
    );
    const machine = new aws.ec2.Instance(
      name,
      {
        ami: args.imageId,
        instanceType: args.instanceType,
        primaryNetworkInterface: { networkInterfaceId: networkInterface.id },
        keyName: args.keyName,
        iamInstanceProfile: profile.name,
        userDataBase64: parameter.name.apply((parameterName) =>
          Buffer.from(
            userData(readFileSync(join(__dirname, "machine", "first-boot.sh"), "utf8"), {
              PARAMETER: parameterName,
              REGION: args.region,
            }),
          ).toString("base64"),
        ),
        metadataOptions: {
          httpEndpoint: "enabled",
          httpTokens: "required",
          httpPutResponseHopLimit: 1,
        },
        rootBlockDevice: {
          encrypted: true,
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
        // Neither a newer image nor another type or script stops all machines at once; README.md says how to do it one by one.
        ignoreChanges: ["ami", "instanceType", "userDataBase64"],
        dependsOn: [policy, parameter],
      },
    );
    this.address = networkInterface.privateIp;
    this.hostKey = host.publicKeyOpenssh.apply((key) => key.trim());
    this.instanceId = machine.id;
    this.registerOutputs({ address: this.address });
  }
}
