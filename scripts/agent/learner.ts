import type { MemberConfig } from "../../components/plan/memberConfig";
import { throughEndpoint, type ClientTls, type EtcdEndpoint } from "./etcd";
import type { RosterMember } from "./judge";
import { ownerOf, peerUrlOf } from "./listed";
import { reasonOf, say } from "./say";

/** Coming back without data: out of the member list, in again as a learner, which has no vote until it has caught up. */

/** Asks the other members one after another until one does it; throws the last refusal. */
async function throughAnother<T>(
  config: MemberConfig,
  roster: readonly RosterMember[],
  tls: ClientTls,
  action: (endpoint: EtcdEndpoint) => Promise<T>,
): Promise<T> {
  let last: unknown = new Error(`${config.member} has nobody to ask`);
  for (const { name, address } of roster) {
    if (name === config.member) {
      continue;
    }
    try {
      return await throughEndpoint(address, 5000, action, tls);
    } catch (error) {
      last = error;
    }
  }
  throw last;
}

/**
 * Replaces this member's entry in etcd's list by a learner's. etcd itself refuses what would cost the others their quorum. An entry
 * of ours that is a learner already is replaced as well: what it had acknowledged is gone with the data.
 */
export async function replaceByLearner(
  config: MemberConfig,
  roster: readonly (RosterMember & { readonly leaving?: boolean | undefined })[],
  tls: ClientTls,
): Promise<void> {
  const url = peerUrlOf(config.address);
  await throughAnother(config, roster, tls, async (endpoint) => {
    const members = await endpoint.members();
    const old = members.find(
      ({ name, peerUrls }) => name === config.member || peerUrls.includes(url),
    );
    if (old !== undefined) {
      say(`removes ${old.id}, whose data is gone`);
      await endpoint.remove(old.id);
    }
    await freeTheSlot(endpoint, roster);
    say(`is learner ${await endpoint.addLearner(url)}`);
  });
}

/** etcd has room for one learner at a time. One that is on its way out, or out already, must not keep everybody else waiting. */
async function freeTheSlot(
  endpoint: EtcdEndpoint,
  roster: readonly (RosterMember & { readonly leaving?: boolean | undefined })[],
): Promise<void> {
  for (const listed of await endpoint.members()) {
    const { id, isLearner } = listed;
    const entry = ownerOf(listed, roster);
    if (isLearner && (entry === undefined || entry.leaving === true)) {
      say(`removes learner ${id}, which ${entry === undefined ? "nobody knows" : "leaves"}`);
      await endpoint.remove(id);
    }
  }
}

/** Asks for the vote. Returns why it is not given yet, or undefined when it is. */
export async function promote(
  config: MemberConfig,
  roster: readonly RosterMember[],
  tls: ClientTls,
  id: string,
): Promise<string | undefined> {
  try {
    await throughAnother(config, roster, tls, (endpoint) => endpoint.promote(id));
    return undefined;
  } catch (error) {
    return reasonOf(error);
  }
}
