import type {
  ClusterRecord,
  RecordContent,
  RecordView,
  Starting,
} from "../../scripts/agent/record";
import { storage } from "../../components/plan/storage";
import type { Condition } from "./bucket";
import { Abandoned } from "./etcd";
import type { Member, World } from "./world";

/** How an agent speaks with the bucket: any call may fail, and a put may be done all the same, now or later. */

/** A step by step program with a result. */
export type Steps<T> = Generator<string, T, void>;

function lossy(world: World): number {
  return world.chaos ? world.scenario.s3Lossy : 0;
}

/** Reads an object. */
export function* read(world: World, member: Member, key: string): Steps<unknown> {
  yield `reads ${key}`;
  if (!member.s3 || world.random.chance(lossy(world) / 2)) {
    throw new Abandoned("S3 does not answer");
  }
  return world.bucket.get(key)?.value;
}

/** Puts an object. An error says nothing about what became of it. */
export function* put(
  world: World,
  member: Member,
  key: string,
  value: unknown,
  condition: Condition,
): Steps<"done" | "refused"> {
  yield `puts ${key}`;
  if (!member.s3) {
    throw new Abandoned("S3 does not answer");
  }
  const { random } = world;
  if (random.chance(lossy(world))) {
    const fate = random.int(3);
    if (fate === 0) {
      world.bucket.put(key, value, condition);
    } else if (fate === 1) {
      world.bucket.late.push({ key, value, condition });
    }
    throw new Abandoned("S3 does not say what became of a put");
  }
  return world.bucket.put(key, value, condition);
}

/** Reads the cluster record; what is no answer is a fact as well. */
export function* readRecord(world: World, member: Member): Steps<RecordView> {
  yield "reads the record";
  if (!member.s3 || world.random.chance(lossy(world) / 2)) {
    return { kind: "unreachable", reason: "S3 does not answer" };
  }
  const stored = world.bucket.get(storage.record);
  return stored === undefined
    ? { kind: "absent" }
    : { kind: "present", record: stored.value as ClusterRecord, etag: stored.etag };
}

/** Puts the record on the condition of the version that was read. */
export function* putRecord(
  world: World,
  member: Member,
  content: RecordContent,
  etag: string | undefined,
  operator?: { readonly fenced: ReadonlySet<string>; readonly chosen: boolean },
): Steps<"done" | "refused"> {
  const value: ClusterRecord = { ...content, nonce: world.unique("nonce-") };
  if (operator !== undefined) {
    world.byOperator.set(value, operator);
  }
  const condition: Condition = !world.rules.order.conditional
    ? "any"
    : etag === undefined
      ? "absent"
      : { etag };
  return yield* put(world, member, storage.record, value, condition);
}

/** Changes the record, derived anew after each conflict. */
export function* changeRecord(
  world: World,
  member: Member,
  change: (record: ClusterRecord) => RecordContent | undefined,
): Steps<ClusterRecord> {
  for (let attempt = 0; attempt < 5; attempt += 1) {
    const view = yield* readRecord(world, member);
    if (view.kind !== "present") {
      throw new Abandoned("the record cannot be read");
    }
    const next = change(view.record);
    if (next === undefined) {
      return view.record;
    }
    yield* putRecord(world, member, next, view.etag);
  }
  throw new Abandoned("the record was changed by others again and again");
}

/** Puts a member into `joined`, for as long as the generation is the same and open. */
export function* join(
  world: World,
  member: Member,
  starting: Starting,
  generation: number,
): Steps<ClusterRecord> {
  return yield* changeRecord(world, member, (record) => {
    if (record.generation !== generation || record.phase !== "open") {
      throw new Abandoned("the record has moved on");
    }
    const entry = record.roster.find(({ name }) => name === starting.name);
    return record.joined.includes(starting.name) &&
      entry?.volumeId === starting.volumeId &&
      entry.used === true
      ? undefined
      : world.rules.transitions.withJoined(record, starting);
  });
}
