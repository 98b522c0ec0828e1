import type { z } from "zod";

import { canonicalJson } from "../../components/plan/canonicalJson";
import { storage } from "../../components/plan/storage";
import { WrongContent } from "./bucket";
import { attestationSchema, reportSchema, type Attestation, type Report } from "./attestation";
import type { ClusterRecord, ObjectStore, PutCondition } from "./record";
import { say } from "./say";

/**
 * Reports and attestations in the bucket. Every member writes its own and reads everybody's, so what is read is checked: its form, and
 * that it says about itself what its key says. What does not pass counts as not said.
 */

/** Whose and when an object claims to be; compared with where it was found. */
interface Claim {
  readonly member: string;
  readonly clusterUid: string;
  readonly epoch: number;
}

async function read<T extends Claim>(
  store: ObjectStore,
  key: string,
  schema: z.ZodType<T>,
  expected: Partial<Claim>,
): Promise<{ value: T; etag: string } | "nothing" | { unusable: string; etag: string }> {
  const object = await store.get(key);
  if (object === undefined) {
    return "nothing";
  }
  const unusable = (reason: string): { unusable: string; etag: string } => {
    say(`${key} is ignored: ${reason}`);
    return { unusable: reason, etag: object.etag };
  };
  let json: unknown;
  try {
    json = JSON.parse(object.text);
  } catch {
    return unusable("it is no JSON");
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    return unusable(parsed.error.issues[0]?.message ?? "it has another form");
  }
  const value = parsed.data;
  const other = (Object.keys(expected) as (keyof Claim)[]).find(
    (field) => value[field] !== expected[field],
  );
  return other === undefined
    ? { value, etag: object.etag }
    : unusable(`its ${other} is ${String(value[other])}, not ${String(expected[other])}`);
}

/** The last report of every member of the roster that has made one. */
export async function readReports(store: ObjectStore, record: ClusterRecord): Promise<Report[]> {
  const { clusterUid } = record;
  return collect(record, async (member) =>
    read(store, storage.report(member), reportSchema, { member, clusterUid }),
  );
}

/** What members of the roster have attested in an epoch. */
export async function readAttestations(
  store: ObjectStore,
  record: ClusterRecord,
  epoch: number,
): Promise<Attestation[]> {
  const { clusterUid } = record;
  return collect(record, async (member) =>
    read(store, storage.attestation(epoch, member), attestationSchema, {
      member,
      clusterUid,
      epoch,
    }),
  );
}

async function collect<T extends Claim>(
  record: ClusterRecord,
  readOne: (member: string) => ReturnType<typeof read<T>>,
): Promise<T[]> {
  const found = await Promise.all(
    record.roster.map(async ({ name }) =>
      readOne(name).catch((error: unknown): "nothing" => {
        // One member's nonsense, however large, must not keep the others from being heard.
        if (error instanceof WrongContent) {
          say(`${name} is not heard: ${error.message}`);
          return "nothing";
        }
        throw error;
      }),
    ),
  );
  return found.flatMap((each) => (each !== "nothing" && "value" in each ? [each.value] : []));
}

/** One member's last report. */
export async function readReport(
  store: ObjectStore,
  member: string,
  clusterUid: string,
): Promise<Report | undefined> {
  const found = await read(store, storage.report(member), reportSchema, { member, clusterUid });
  return found !== "nothing" && "value" in found ? found.value : undefined;
}

/** Replaces this member's report; it is the only one that writes there. */
export async function putReport(store: ObjectStore, report: Report): Promise<void> {
  const key = storage.report(report.member);
  const before = await read(store, key, reportSchema, {});
  const condition: PutCondition =
    before === "nothing" ? { ifNoneMatch: "*" } : { ifMatch: before.etag };
  const text = `${canonicalJson(reportSchema.parse(report))}\n`;
  if ((await store.put(key, text, condition)) === "refused") {
    throw new Error(`${key} changed while it was being replaced`);
  }
}

/** Swears, once: what was attested in an epoch is never replaced. */
export async function putAttestation(
  store: ObjectStore,
  attestation: Attestation,
): Promise<"done" | "refused"> {
  const key = storage.attestation(attestation.epoch, attestation.member);
  const text = `${canonicalJson(attestationSchema.parse(attestation))}\n`;
  return store.put(key, text, { ifNoneMatch: "*" });
}
