import { ports } from "../../components/plan/ports";

/** Whose an entry of etcd's member list is. A member's name there is empty until it has started; its peer address never is. */

/** The URL by which the other members reach a member. */
export function peerUrlOf(address: string): string {
  return `https://${address}:${ports.peer}`;
}

/** Which of these an entry of the list is, by its peer address; undefined when it is none of them. */
export function ownerOf<M extends { readonly address: string }>(
  { peerUrls }: { readonly peerUrls: readonly string[] },
  members: readonly M[],
): M | undefined {
  return members.find(({ address }) => peerUrls.includes(peerUrlOf(address)));
}

/** An entry by the name of the member that it belongs to, which is absent when it belongs to nobody known. */
export interface NamedEntry {
  readonly id: string;
  readonly name?: string;
  readonly isLearner: boolean;
}

/** The entries of a list, each with the name of its member. */
export function namedEntries(
  entries: readonly {
    readonly id: string;
    readonly peerUrls: readonly string[];
    readonly isLearner: boolean;
  }[],
  members: readonly { readonly name: string; readonly address: string }[],
): NamedEntry[] {
  return entries.map((entry) => {
    const name = ownerOf(entry, members)?.name;
    return {
      id: entry.id,
      isLearner: entry.isLearner,
      ...(name === undefined ? {} : { name }),
    };
  });
}
