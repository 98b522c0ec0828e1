import type { Attestation } from "./attestation";
import { backupFacts } from "./backupFacts";
import type { Bucket } from "./bucket";
import type { Source } from "./facts";
import { compareRanks, type Rank } from "./rank";
import type { ClusterRecord } from "./record";

/** A copy of the data that a generation could begin with. */
export interface Candidate {
  /** A key in the bucket, or `m2` or `m2/set-aside-…` for a copy on a member's volume. */
  readonly name: string;
  readonly rank: Rank;
  /** Who alone can hand it over; absent when it is in the bucket. */
  readonly holder?: string;
  /** Why it cannot be trusted as a whole. */
  readonly damage?: string;
  readonly source: Source;
}

/** Everything that could be restored, the newest first; of equal ones a member's copy before one in the bucket. */
export async function candidates(
  bucket: Bucket,
  record: ClusterRecord,
  attestations: readonly Attestation[],
  unreadable: readonly string[],
): Promise<Candidate[]> {
  const held = attestations.flatMap(({ member, data, setAside }): Candidate[] =>
    [...(data === undefined ? [] : [data]), ...setAside].map((holding) => {
      const { generation, term, index, damage, setAside: folder } = holding;
      const rank = { generation, term, index };
      return {
        name: folder === undefined ? member : `${member}/${folder}`,
        rank,
        holder: member,
        ...(damage === undefined ? {} : { damage }),
        source: { kind: "own", rank, ...(folder === undefined ? {} : { folder }) },
      };
    }),
  );
  const backups = (await backupFacts(bucket)).map((backup): Candidate => ({
    name: backup.key,
    rank: backup.rank,
    source: { kind: "backup", backup },
  }));
  // As new as the generation before its first entry, whatever it held: it was chosen over everything from before.
  const birth = { generation: record.generation, term: 0, index: 0 };
  const now = record.source.kind === "snapshot" ? [{ ...record.source, newness: birth }] : [];
  const earlier = record.earlierSources.map((source) => ({ ...source, newness: source.rank }));
  const sources = [...now, ...earlier].map(({ key, sha256, rank, newness }): Candidate => ({
    name: key,
    rank: newness,
    source: { kind: "named", key, sha256, rank },
  }));
  const usable = [...backups, ...sources].filter(
    ({ source }) =>
      !unreadable.includes(
        source.kind === "backup"
          ? source.backup.sha256
          : source.kind === "named"
            ? source.sha256
            : "",
      ),
  );
  return [...held, ...usable].sort((a, b) => compareRanks(b.rank, a.rank));
}
