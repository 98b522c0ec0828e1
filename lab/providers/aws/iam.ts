import { flag, number, text } from "../shared/schema.ts";
import {
  awsResource,
  completing,
  fromTagList,
  textOf,
  toTagList,
  type TagChange,
} from "./awsResource.ts";
import type { Aws } from "./environment.ts";
import { unlessMissing } from "./waiting.ts";

const missing = ["NoSuchEntity", "NoSuchEntityException"];
const busy = { codes: ["DeleteConflict", "DeleteConflictException"], seconds: 60 } as const;

/** aws.iam.Role */
export const role = awsResource({
  type: "aws:iam/role:Role",
  fields: {
    name: text({ replaces: true }),
    assumeRolePolicy: text({ required: true }),
    description: text(),
    path: text({ replaces: true }),
    maxSessionDuration: number(),
    forceDetachPolicies: flag(),
  },
  computed: ["arn", "createDate", "uniqueId"],
  isGlobal: true,
  autoname: { field: "name", maxLength: 64 },
  normalize: (inputs) => ({
    path: "/",
    maxSessionDuration: 3600,
    forceDetachPolicies: false,
    ...inputs,
  }),
  missing,
  busy,
  retag: async (aws, id, { set, unset }: TagChange) => {
    const iam = await aws.iam();
    if (unset.length > 0) {
      await iam.untagRole({ RoleName: id, TagKeys: [...unset] });
    }
    if (Object.keys(set).length > 0) {
      await iam.tagRole({ RoleName: id, Tags: toTagList(set) });
    }
  },
  create: async (inputs, { aws, tags }) => {
    const name = inputs.name ?? "";
    await (
      await aws.iam()
    ).createRole({
      RoleName: name,
      AssumeRolePolicyDocument: inputs.assumeRolePolicy,
      Description: inputs.description,
      Path: inputs.path,
      MaxSessionDuration: inputs.maxSessionDuration,
      Tags: toTagList(tags),
    });
    return name;
  },
  read: async (id, _state, aws) => {
    const { Role: found } = await (await aws.iam()).getRole({ RoleName: id });
    return (
      found && {
        arn: found.Arn,
        name: found.RoleName,
        uniqueId: found.RoleId,
        createDate: found.CreateDate?.toISOString(),
        path: found.Path,
        maxSessionDuration: found.MaxSessionDuration,
        assumeRolePolicy: document(found.AssumeRolePolicyDocument),
        tagsAll: fromTagList(found.Tags),
      }
    );
  },
  update: async ({ id, news, changed }, { aws }) => {
    const iam = await aws.iam();
    if (changed.has("assumeRolePolicy")) {
      await iam.updateAssumeRolePolicy({
        RoleName: id,
        PolicyDocument: news.assumeRolePolicy,
      });
    }
    if (changed.has("description") || changed.has("maxSessionDuration")) {
      await iam.updateRole({
        RoleName: id,
        Description: news.description ?? "",
        MaxSessionDuration: news.maxSessionDuration,
      });
    }
  },
  remove: async (id, state, { aws }) => {
    const iam = await aws.iam();
    const { InstanceProfiles = [] } = await iam.listInstanceProfilesForRole({ RoleName: id });
    for (const { InstanceProfileName } of InstanceProfiles) {
      await iam.removeRoleFromInstanceProfile({ InstanceProfileName, RoleName: id });
    }
    if (state["forceDetachPolicies"] === true) {
      await detachPolicies(aws, id);
    }
    await iam.deleteRole({ RoleName: id });
  },
});

async function detachPolicies(aws: Aws, role: string): Promise<void> {
  const iam = await aws.iam();
  const { PolicyNames = [] } = await iam.listRolePolicies({ RoleName: role });
  for (const PolicyName of PolicyNames) {
    await iam.deleteRolePolicy({ RoleName: role, PolicyName });
  }
  const { AttachedPolicies = [] } = await iam.listAttachedRolePolicies({ RoleName: role });
  for (const { PolicyArn } of AttachedPolicies) {
    await iam.detachRolePolicy({ RoleName: role, PolicyArn });
  }
}

/** aws.iam.RolePolicy */
export const rolePolicy = awsResource({
  type: "aws:iam/rolePolicy:RolePolicy",
  fields: {
    name: text({ replaces: true }),
    role: text({ required: true, replaces: true }),
    policy: text({ required: true }),
  },
  computed: [],
  isGlobal: true,
  autoname: { field: "name", maxLength: 128 },
  missing,
  create: async (inputs, { aws }) => {
    const PolicyName = inputs.name ?? "";
    await (
      await aws.iam()
    ).putRolePolicy({ RoleName: inputs.role, PolicyName, PolicyDocument: inputs.policy });
    return `${inputs.role}:${PolicyName}`;
  },
  read: async (id, _state, aws) => {
    const [RoleName = "", PolicyName = ""] = id.split(":");
    const found = await (await aws.iam()).getRolePolicy({ RoleName, PolicyName });
    return {
      role: found.RoleName,
      name: found.PolicyName,
      policy: document(found.PolicyDocument),
    };
  },
  update: async ({ news }, { aws }) => {
    await (
      await aws.iam()
    ).putRolePolicy({
      RoleName: news.role,
      PolicyName: news.name,
      PolicyDocument: news.policy,
    });
  },
  remove: async (id, _state, { aws }) => {
    const [RoleName = "", PolicyName = ""] = id.split(":");
    await (await aws.iam()).deleteRolePolicy({ RoleName, PolicyName });
  },
});

/** aws.iam.RolePolicyAttachment */
export const rolePolicyAttachment = awsResource({
  type: "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
  fields: {
    role: text({ required: true, replaces: true }),
    policyArn: text({ required: true, replaces: true }),
  },
  computed: [],
  isGlobal: true,
  missing,
  create: async (inputs, { aws }) => {
    const { role: RoleName, policyArn: PolicyArn } = inputs;
    await (await aws.iam()).attachRolePolicy({ RoleName, PolicyArn });
    return `${RoleName}/${PolicyArn}`;
  },
  read: async (id, _state, aws) => {
    const { role: name, policyArn } = splitAttachment(id);
    const { AttachedPolicies = [] } = await (
      await aws.iam()
    ).listAttachedRolePolicies({ RoleName: name });
    const attached = AttachedPolicies.some(({ PolicyArn }) => PolicyArn === policyArn);
    return attached ? { role: name, policyArn } : undefined;
  },
  remove: async (id, _state, { aws }) => {
    const { role: RoleName, policyArn: PolicyArn } = splitAttachment(id);
    await (await aws.iam()).detachRolePolicy({ RoleName, PolicyArn });
  },
});

function splitAttachment(id: string): { role: string; policyArn: string } {
  const slash = id.indexOf("/");
  return { role: id.slice(0, slash), policyArn: id.slice(slash + 1) };
}

/** aws.iam.InstanceProfile */
export const instanceProfile = awsResource({
  type: "aws:iam/instanceProfile:InstanceProfile",
  fields: { name: text({ replaces: true }), path: text({ replaces: true }), role: text() },
  computed: ["arn", "createDate", "uniqueId"],
  isGlobal: true,
  autoname: { field: "name", maxLength: 128 },
  normalize: (inputs) => ({ path: "/", ...inputs }),
  missing,
  busy,
  retag: async (aws, id, { set, unset }: TagChange) => {
    const iam = await aws.iam();
    if (unset.length > 0) {
      await iam.untagInstanceProfile({ InstanceProfileName: id, TagKeys: [...unset] });
    }
    if (Object.keys(set).length > 0) {
      await iam.tagInstanceProfile({ InstanceProfileName: id, Tags: toTagList(set) });
    }
  },
  create: async (inputs, { aws, tags }) => {
    const name = inputs.name ?? "";
    const iam = await aws.iam();
    await iam.createInstanceProfile({
      InstanceProfileName: name,
      Path: inputs.path,
      Tags: toTagList(tags),
    });
    return completing(name, () => setRole(aws, name, inputs.role));
  },
  read: async (id, _state, aws) => {
    const iam = await aws.iam();
    const { InstanceProfile: found } = await iam.getInstanceProfile({ InstanceProfileName: id });
    return (
      found && {
        arn: found.Arn,
        name: found.InstanceProfileName,
        path: found.Path,
        uniqueId: found.InstanceProfileId,
        createDate: found.CreateDate?.toISOString(),
        role: found.Roles?.[0]?.RoleName,
        tagsAll: fromTagList(found.Tags),
      }
    );
  },
  update: async ({ id, olds, news, changed }, { aws }) => {
    if (changed.has("role")) {
      await dropRole(aws, id, olds.role);
      await setRole(aws, id, news.role);
    }
  },
  remove: async (id, state, { aws }) => {
    await dropRole(aws, id, textOf(state, "role"));
    await (await aws.iam()).deleteInstanceProfile({ InstanceProfileName: id });
  },
});

async function setRole(aws: Aws, profile: string, RoleName: string | undefined): Promise<void> {
  if (RoleName !== undefined && RoleName !== "") {
    await (await aws.iam()).addRoleToInstanceProfile({ InstanceProfileName: profile, RoleName });
  }
}

async function dropRole(aws: Aws, profile: string, RoleName: string | undefined): Promise<void> {
  if (RoleName !== undefined && RoleName !== "") {
    await unlessMissing(missing, async () =>
      (await aws.iam()).removeRoleFromInstanceProfile({ InstanceProfileName: profile, RoleName }),
    );
  }
}

/** IAM hands policies out percent-encoded. */
function document(encoded: string | undefined): string | undefined {
  return encoded === undefined ? undefined : decodeURIComponent(encoded);
}
