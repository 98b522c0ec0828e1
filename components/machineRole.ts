import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";

import { canonicalJson } from "./plan/canonicalJson";
import { machineTrustPolicy, type PolicyDocument } from "./plan/iamDocuments";

/** What a MachineRole needs. */
export interface MachineRoleArgs {
  /** Name of the role and of its instance profile; IAM is global, so it names the region. */
  roleName: string;
  /** What the machine may do. */
  policy: pulumi.Output<PolicyDocument>;
  tags: Record<string, pulumi.Input<string>>;
}

/** The identity of a machine towards AWS: a role with one inline policy, and the instance profile that carries it. */
export class MachineRole extends pulumi.ComponentResource {
  /** Name of the instance profile. */
  readonly profileName: pulumi.Output<string>;
  /** The policy; a machine that boots before it exists is refused everywhere. */
  readonly policy: aws.iam.RolePolicy;

  constructor(name: string, args: MachineRoleArgs, opts?: pulumi.ComponentResourceOptions) {
    super("etcd-cluster:index:MachineRole", name, {}, opts);
    const role = new aws.iam.Role(
      name,
      {
        name: args.roleName,
        assumeRolePolicy: canonicalJson(machineTrustPolicy()),
        tags: args.tags,
      },
      { parent: this },
    );
    this.policy = new aws.iam.RolePolicy(
      name,
      { name: "machine", role: role.name, policy: args.policy.apply(canonicalJson) },
      { parent: this },
    );
    const profile = new aws.iam.InstanceProfile(
      name,
      { name: args.roleName, role: role.name, tags: args.tags },
      { parent: this },
    );
    this.profileName = profile.name;
    this.registerOutputs({ profileName: this.profileName });
  }
}
