import { budgetAction, stillFull, type BudgetAction } from "./budget";
import { until } from "./deadline";
import { throughEndpoint, type ClientTls, type EtcdEndpoint } from "./etcd";
import { reasonOf, say } from "./say";

/** What the disk's budget asks for is done here. */

/** Milliseconds for a defragmentation: a base, and so much per GiB; some 100 MB/s are usual. */
const defragmentMs = (dbBytes: number): number => 60_000 + 60_000 * (dbBytes / 2 ** 30);

const compactMs = 300_000;
const askMs = 5000;

/** Seconds for a member to be well again after a defragmentation. */
const againSeconds = 60;

/** A member to act on. */
export interface BudgetTarget {
  readonly name: string;
  readonly id: string;
  readonly address: string;
  readonly dbBytes: number;
}

/** What the effects work with. */
export interface BudgetContext {
  readonly self: string;
  readonly targets: readonly BudgetTarget[];
  readonly tls: ClientTls;
  readonly quotaBytes: number;
}

/** What was done. */
export interface BudgetDone {
  readonly action: BudgetAction["kind"];
  /** Members that were defragmented. */
  readonly defragmented: readonly string[];
  /** In words, for `status`. */
  readonly said: string;
}

/** Acts; throws when that fails, and is decided anew in the next round. */
export async function keepBudget(
  action: ReturnType<typeof budgetAction>,
  context: BudgetContext,
): Promise<BudgetDone> {
  switch (action.kind) {
    case "idle":
      return { action: "idle", defragmented: [], said: action.reason };
    case "defragment": {
      const said = await defragment(targetOf(context, action.member), context.tls);
      return { action: "defragment", defragmented: [action.member], said };
    }
    case "handOver": {
      const to = targetOf(context, action.to);
      await asked(targetOf(context, context.self), context.tls, (etcd) => etcd.moveLeader(to.id));
      return {
        action: "handOver",
        defragmented: [],
        said: `leadership goes to ${to.name}, so that this member can be defragmented`,
      };
    }
    case "cure":
      return cure(action.members, context);
  }
}

function targetOf({ targets }: BudgetContext, name: string): BudgetTarget {
  const target = targets.find((each) => each.name === name);
  if (target === undefined) {
    throw new Error(`${name} was not seen`);
  }
  return target;
}

async function asked<T>(
  { address }: BudgetTarget,
  tls: ClientTls,
  action: (etcd: EtcdEndpoint) => Promise<T>,
): Promise<T> {
  return throughEndpoint(address, askMs, action, tls);
}

/** Defragments one member, and waits until it is well again. */
async function defragment(target: BudgetTarget, tls: ClientTls): Promise<string> {
  const started = performance.now();
  const after = await asked(target, tls, async (etcd) => {
    await etcd.defragment(defragmentMs(target.dbBytes));
    return until(againSeconds, async () => {
      await etcd.linearizableRead();
      return etcd.status();
    });
  });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const said = `${target.name} defragmented in ${seconds} s: ${target.dbBytes} bytes became ${after.dbSizeBytes}`;
  say(said);
  return said;
}

/** The quota is used up: give back what can be given back, and let etcd write again if that was enough. */
async function cure(names: readonly string[], context: BudgetContext): Promise<BudgetDone> {
  const own = targetOf(context, context.self);
  say(`the quota is used up: compacts, and defragments ${names.join(", ")}`);
  await asked(own, context.tls, async (etcd) => {
    const revision = await etcd.linearizableRead();
    await etcd.compact(revision, compactMs).catch((error: unknown) => {
      // Somebody else's compaction was as good.
      if (!/has been compacted/.test(reasonOf(error))) {
        throw error;
      }
    });
  });
  const sizes: { name: string; dbBytes: number }[] = [];
  for (const name of names) {
    const target = targetOf(context, name);
    await defragment(target, context.tls);
    const { dbSizeBytes } = await asked(target, context.tls, (etcd) => etcd.status());
    sizes.push({ name, dbBytes: dbSizeBytes });
  }
  const full = stillFull(sizes, context.quotaBytes);
  if (full.length > 0) {
    throw new Error(
      `the quota of ${context.quotaBytes} bytes is used up by what is not to be given back: ${full.join(", ")}`,
    );
  }
  await asked(own, context.tls, async (etcd) => {
    for (const alarm of await etcd.alarms()) {
      if (alarm.kind === "Nospace") {
        await etcd.disarm(alarm);
      }
    }
  });
  const said = `the quota was used up: compacted, defragmented ${names.join(", ")}, and writes are taken again`;
  say(said);
  return { action: "cure", defragmented: names, said };
}
