import type { MemberConfig } from "./memberConfig";

/** One of the members with which a cluster begins. */
export type FirstMember = MemberConfig["initialMembers"][number];

/**
 * The first members as a member's desired state names them. They are remembered from the cluster's creation, so that a change of its
 * size changes nobody's document; nobody reads them once there is a cluster record.
 *
 * Of the member itself what is true now counts: its volume may have been exchanged. If it has another address, it is not the one that
 * was there at first but came back later under the old name, and is not among them.
 *
 * @param own the member whose desired state it is
 * @param remembered those with whom the cluster began
 */
export function firstMembersFor(
  own: FirstMember,
  remembered: readonly FirstMember[],
): FirstMember[] {
  const found = remembered.flatMap((each) => {
    if (each.name !== own.name) {
      return [each];
    }
    return each.address === own.address ? [own] : [];
  });
  return found.length > 0 ? found : [own];
}
