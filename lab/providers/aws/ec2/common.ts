import type { ResourceType } from "@aws-sdk/client-ec2";

import { toTagList, type TagChange, type Tags } from "../awsResource.ts";
import type { Aws } from "../environment.ts";

/** Tags to create a resource with. */
export function tagSpecifications(type: ResourceType, tags: Tags) {
  return Object.keys(tags).length === 0
    ? {}
    : { TagSpecifications: [{ ResourceType: type, Tags: toTagList(tags) }] };
}

/** Changes the tags of anything in EC2. */
export async function retagEc2(aws: Aws, id: string, change: TagChange): Promise<void> {
  const ec2 = await aws.ec2();
  if (change.unset.length > 0) {
    await ec2.deleteTags({ Resources: [id], Tags: change.unset.map((Key) => ({ Key })) });
  }
  if (Object.keys(change.set).length > 0) {
    await ec2.createTags({ Resources: [id], Tags: toTagList(change.set) });
  }
}

/** How long the real provider waits for whatever hangs on a resource to go away, seconds. */
export const dependants = { codes: ["DependencyViolation"], seconds: 20 * 60 } as const;
