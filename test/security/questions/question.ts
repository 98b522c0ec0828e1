import type { AccessRequest } from "#security/simulator";

/** Who asks: a machine; the account's administrator; AWS's auto scaling and alarms; an administrator of another account. */
export const Asker = {
  member: "member",
  /** The member, were the bucket's policy silent: its role does not lean on it. */
  memberAlone: "memberAlone",
  bastion: "bastion",
  administrator: "administrator",
  scaling: "scaling",
  /** CloudWatch, which tells of an alarm. */
  alarms: "alarms",
  stranger: "stranger",
} as const;
export type Asker = (typeof Asker)[keyof typeof Asker];

/** One question. `{self}` is the member that asks, `{other}` another one of the cluster. */
export interface Question extends AccessRequest {
  readonly what: string;
  readonly as: Asker;
  readonly allowed: boolean;
}

/** Context by its key; one value or several. */
export type Context = Readonly<Record<string, string | readonly string[]>>;

function ask(allowed: boolean, as: Asker, what: string, on: string, context: Context): Question {
  const [action = "", resource = ""] = on.split(" ");
  const values = Object.entries(context).map(
    ([name, value]) => [name.toLowerCase(), typeof value === "string" ? [value] : value] as const,
  );
  return { what, as, allowed, action, resource, context: Object.fromEntries(values) };
}

/** Something that is refused; `on` is the action, a blank, and the resource. */
export const never = (as: Asker, what: string, on: string, context: Context = {}): Question =>
  ask(false, as, what, on, context);

/** Something that stays possible. */
export const may = (as: Asker, what: string, on: string, context: Context = {}): Question =>
  ask(true, as, what, on, context);

/** ARN of something of EC2's. */
export const ec2 = (what: string): string => `arn:aws:ec2:{region}:{account}:${what}`;

/** A volume and a machine; whose they are, their tags say. */
export const volume = ec2("volume/{volume}");
export const machine = ec2("instance/{instance}");

/** The cluster's key, and a key of somebody else. */
export const key = "arn:aws:kms:{region}:{account}:key/{key}";
export const otherKey = "arn:aws:kms:{region}:{account}:key/99999999-9999-4999-8999-999999999999";

/** Tags that something bears. */
export const tagsOf = (member: string, cluster = "{cluster}"): Context => ({
  "aws:ResourceTag/etcd-cluster:cluster": cluster,
  "aws:ResourceTag/etcd-cluster:member": member,
});
