import { toTagList, type TagChange } from "../awsResource.ts";
import type { Aws } from "../environment.ts";

/** Changes the tags of a balancer, target group or listener. */
export async function retagBalancing(
  aws: Aws,
  arn: string,
  { set, unset }: TagChange,
): Promise<void> {
  const balancing = await aws.balancing();
  if (unset.length > 0) {
    await balancing.removeTags({ ResourceArns: [arn], TagKeys: [...unset] });
  }
  if (Object.keys(set).length > 0) {
    await balancing.addTags({ ResourceArns: [arn], Tags: toTagList(set) });
  }
}

/** Tags to create with; AWS refuses an empty list. */
export function creationTags(tags: Readonly<Record<string, string>>) {
  return Object.keys(tags).length === 0 ? {} : { Tags: toTagList(tags) };
}

/** Tags as they are. */
export async function tagsOf(aws: Aws, arn: string): Promise<Record<string, string>> {
  const { TagDescriptions = [] } = await (
    await aws.balancing()
  ).describeTags({ ResourceArns: [arn] });
  const tags = TagDescriptions.find(({ ResourceArn }) => ResourceArn === arn)?.Tags ?? [];
  return Object.fromEntries(tags.map(({ Key, Value }) => [Key ?? "", Value ?? ""]));
}

/** Attributes as AWS takes them; undefined ones are left alone. */
export function attributes(
  values: Readonly<Record<string, string | number | boolean | undefined>>,
): { Key: string; Value: string }[] {
  return Object.entries(values)
    .filter(([, value]) => value !== undefined)
    .map(([Key, value]) => ({ Key, Value: String(value) }));
}

/** The part of an ARN by which CloudWatch knows the resource. */
export function arnSuffix(arn: string, kind: "loadbalancer" | "targetgroup"): string {
  const suffix = arn.split(":").slice(5).join(":");
  return kind === "loadbalancer" ? suffix.replace(/^loadbalancer\//, "") : suffix;
}
