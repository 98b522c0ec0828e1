import { readdir } from "node:fs/promises";
import { join } from "node:path";

import type { Attestation, Holding } from "./attestation";
import { putAttestation } from "./bulletin";
import { foldersSetAside, inspectFolder } from "./contents";
import type { Context } from "./context";
import { damageOf, Log } from "./damage";
import { isMounted } from "./disk";
import { readIfThere } from "./files";
import { withLock } from "./lock";
import { markerSchema, type Disk, type Marker } from "./marker";
import { paths } from "./paths";
import { step } from "./point";
import type { ClusterRecord } from "./record";
import { unreadableSource } from "./report";
import { reasonOf, say } from "./say";
import { stopEtcd } from "./service";
import { readLog, type LogFacts } from "./wal";

/** Seconds to wait for an upload of this machine to end; then the next round tries again. */
const uploadSeconds = 5;

/** As many folders as an attestation has room for, the newest. */
const setAsideLimit = 64;

/**
 * Swears what this member holds, read from its logs while etcd does not run and nothing of it is being uploaded: what is sworn must
 * be all that this member can ever bring forward again.
 */
export async function attest(context: Context, record: ClusterRecord): Promise<void> {
  await stopEtcd();
  await withLock(
    async () => {
      const attestation = await attestationOf(context, record);
      await step("attest:put", () => putAttestation(context.machine.bucket, attestation));
    },
    uploadSeconds,
    paths.uploadLock,
  );
}

async function attestationOf(context: Context, record: ClusterRecord): Promise<Attestation> {
  const { member, instanceId, volumeId } = context.facts.self;
  const { clusterUid, epoch } = record;
  // Looked at anew: etcd may have written its first log after the facts were gathered.
  const mounted = await isMounted(volumeId);
  const disk: Disk = mounted
    ? await inspectFolder()
    : { kind: "blank", formatted: false, setAside: [] };
  if (disk.kind !== "data" && disk.kind !== "blank") {
    throw new Error(`what is on the volume cannot be attested: it is ${disk.kind}`);
  }
  if (disk.kind !== context.facts.disk.kind) {
    // Sworn to without being held, it might be started again while the bucket cannot be asked.
    throw new Error(`the volume is ${disk.kind} now, and was ${context.facts.disk.kind}`);
  }
  return {
    ...{ schema: 1, clusterUid, member, epoch, instanceId, volumeId },
    ...unreadableSource(context, record),
    ...(disk.kind === "data" ? { data: await ownData(disk) } : {}),
    setAside: mounted ? await allSetAside(member, clusterUid) : [],
  };
}

/** A log that cannot be read now is an error, and tried again: sworn to as nothing it would be given up. */
async function ownData({ marker, damage }: Extract<Disk, { kind: "data" }>): Promise<Holding> {
  const facts = await readLog(paths.data);
  return holdingOf(marker, facts, damage ?? (await damageOf(new Log())));
}

async function allSetAside(member: string, clusterUid: string): Promise<Holding[]> {
  const folders = foldersSetAside(await readdir(paths.mount)).slice(-setAsideLimit);
  const holdings: Holding[] = [];
  for (const { folder } of folders) {
    const place = join(paths.mount, folder);
    try {
      const marker = markerSchema.parse(
        JSON.parse((await readIfThere(join(place, "etcd-cluster.json"))) ?? "null"),
      );
      if (marker.member !== member || marker.clusterUid !== clusterUid) {
        throw new Error(`it is of ${marker.member}, cluster ${marker.clusterUid}`);
      }
      const damage = (await readIfThere(join(place, "etcd-cluster.damage")))?.trim();
      const holding = holdingOf(marker, await readLog(place), damage);
      holdings.push({ ...holding, setAside: folder });
    } catch (error) {
      say(`${folder} is not attested: ${reasonOf(error)}`);
    }
  }
  return holdings;
}

function holdingOf({ generation }: Marker, log: LogFacts, noted: string | undefined): Holding {
  const { term, index, commit, memberId, votersAtCommit, votersAtLast, removed } = log;
  const damage = (noted ?? log.damage)?.slice(0, 500);
  return {
    generation,
    term: safe(term),
    index: safe(index),
    commit: safe(commit),
    votersAtCommit: [...votersAtCommit],
    votersAtLast: [...votersAtLast],
    ...(memberId === undefined ? {} : { id: memberId }),
    ...(removed ? { removed } : {}),
    ...(damage === undefined ? {} : { damage }),
  };
}

function safe(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new Error(`${value} is more than a term or an index can be`);
  }
  return Number(value);
}
