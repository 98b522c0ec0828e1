import { setTimeout as sleep } from "node:timers/promises";

import { canonicalJson } from "../../components/plan/canonicalJson";
import { accessStatus, keepAccess, type AccessStatus } from "./accessAct";
import { backupDue, takeBackup } from "./backup";
import type { Backup } from "./backupKey";
import { markExpendable } from "./backupStore";
import { budgetAction, type BudgetAction, type BudgetMember } from "./budget";
import { keepBudget } from "./budgetAct";
import { dropWork, quotaOf } from "./backupSnapshot";
import { holdDrill } from "./drill";
import { drillDue, drillOk, type DrillResult } from "./drillResult";
import { agentTls, throughEndpoint, type ClientTls, type EtcdEndpoint } from "./etcd";
import { withLock } from "./lock";
import { approvedState, thisMachine, type Machine } from "./machine";
import { publish } from "./metrics";
import { paths } from "./paths";
import { reasonOf, say } from "./say";
import { readUpkeepState, writeUpkeepState, type UpkeepState } from "./upkeepState";
import { lookAround, metricFacts, openGeneration, type UpkeepView } from "./upkeepView";

/** Milliseconds between two calls to CloudWatch while something takes long. */
const publishMs = 60_000;

/** Milliseconds for etcd's answers in a drill. */
const drillAskMs = 120_000;

/** Milliseconds for a call about users and roles, which goes through a quorum. */
const accessAskMs = 5000;

/** What a run did. */
export interface Upkeep {
  readonly member: string;
  /** What was done, in words. */
  readonly done: readonly string[];
  /** What went wrong, by what was being done. It is tried again in the next run. */
  readonly problems: Readonly<Record<string, string>>;
}

/** Seconds for the agent's look to end. */
const lookSeconds = 60;

/**
 * What etcd-upkeep.service runs when something is due: metrics, a backup, users and roles, the disk's budget, a restore drill. Each part
 * can fail without touching the others, and none ever stops or starts etcd.
 */
export async function upkeep(): Promise<Upkeep> {
  const machine = await thisMachine();
  return withLock(
    async () => new Run(machine, await readUpkeepState()).all(),
    lookSeconds,
    paths.upkeepLock,
  );
}

/**
 * What the agent does every minute by itself: looks around, tells CloudWatch, and answers whether upkeep has something to do. While
 * upkeep runs, which does the same beside its work, it does nothing.
 */
export async function look(machine: Machine): Promise<boolean> {
  return withLock(
    async () => new Run(machine, await readUpkeepState()).look(),
    0,
    paths.upkeepLock,
  );
}

class Run {
  readonly #machine: Machine;
  readonly #done: string[] = [];
  readonly #problems: Record<string, string> = {};
  #state: UpkeepState;
  #newest: Backup | undefined;

  constructor(machine: Machine, state: UpkeepState) {
    this.#machine = machine;
    this.#state = { ...state, newestSeen: { ...state.newestSeen } };
  }

  async look(): Promise<boolean> {
    const view = await this.#look();
    await this.#part("metrics", () => this.#publish(view));
    if (view.bucketProblem !== undefined) {
      this.#problems["backup"] = view.bucketProblem;
    }
    const accessIsDue = await this.#part("access", () => this.#accessIsDue(view));
    const due =
      accessIsDue === true ||
      this.#backupReason(view) !== undefined ||
      this.#budgetAction(view).kind !== "idle" ||
      this.#drillIsDue(view);
    // What is due and fails is told by whoever does it.
    const problems = due ? { ...this.#state.problems, ...this.#problems } : this.#problems;
    await writeUpkeepState({ ...this.#state, at: Date.now(), problems });
    return due;
  }

  async all(): Promise<Upkeep> {
    const view = await this.#look();
    await this.#part("metrics", () => this.#publish(view));
    const ended = new AbortController();
    const meanwhile = this.#publishUntil(ended.signal);
    try {
      await this.#part("backup", () => this.#backup(view));
      await this.#part("access", () => this.#access(view));
      await this.#part("budget", () => this.#budget(view));
      await this.#part("drill", () => this.#drill(view));
    } finally {
      ended.abort();
      await meanwhile;
    }
    await writeUpkeepState({ ...this.#state, at: Date.now(), problems: this.#problems });
    return { member: this.#machine.member, done: this.#done, problems: this.#problems };
  }

  async #look(): Promise<UpkeepView> {
    const { config } = await approvedState(this.#machine);
    const view = await lookAround(
      this.#machine,
      config,
      await tlsIfThere(),
      this.#state.newestSeen,
    );
    const { newest, drill } = view;
    this.#newest = newest;
    this.#state = {
      ...this.#state,
      ...(newest === undefined ? {} : { newest: { key: newest.key, takenAt: newest.takenAt } }),
      ...(drill === undefined ? {} : { drill: drillInWords(drill) }),
    };
    return view;
  }

  async #part<T>(name: string, action: () => Promise<T>): Promise<T | undefined> {
    try {
      return await action();
    } catch (error) {
      const reason = reasonOf(error).slice(0, 2000);
      this.#problems[name] = reason;
      say(`${name}: ${reason}`);
      return undefined;
    }
  }

  async #publish(view: UpkeepView): Promise<void> {
    const { since = view.now, counters, newest } = this.#state;
    const earlier = { since, counters, newestAt: newest?.takenAt };
    await publish(this.#machine.clients, metricFacts(view, earlier));
    const seen = view.counters === undefined ? {} : { counters: view.counters };
    this.#state = { ...this.#state, since, ...seen };
  }

  /** A drill may take minutes, and a metric that is missing is an alarm. */
  async #publishUntil(signal: AbortSignal): Promise<void> {
    for (;;) {
      try {
        await sleep(publishMs, undefined, { signal });
      } catch {
        return;
      }
      await this.#part("metrics", async () => this.#publish(await this.#look()));
    }
  }

  #backupReason(view: UpkeepView): string | undefined {
    const { own, config, newest, now, alarms } = view;
    const status = own?.status;
    return view.bucketProblem === undefined
      ? backupDue({
          ...{ status, newest, now, everyMinutes: config.backup.everyMinutes },
          generation: openGeneration(view),
          corrupt:
            alarms?.some(({ kind, memberId }) => kind === "Corrupt" && memberId === status?.id) ??
            false,
        })
      : undefined;
  }

  async #backup(view: UpkeepView): Promise<void> {
    const { config } = view;
    if (view.bucketProblem !== undefined) {
      throw new Error(view.bucketProblem);
    }
    const due = this.#backupReason(view);
    if (due === undefined) {
      return;
    }
    const backup = await takeBackup(this.#machine, due);
    this.#newest = backup;
    this.#did(`backup ${backup.key}`);
    this.#state.newestSeen[backup.member] = backup.key;
    this.#state = { ...this.#state, newest: { key: backup.key, takenAt: backup.takenAt } };
    const markedUpTo = await markExpendable(
      this.#machine.bucket,
      this.#machine.member,
      config.backup.keepLast,
      this.#state.markedUpTo,
    );
    this.#state = { ...this.#state, ...(markedUpTo === undefined ? {} : { markedUpTo }) };
  }

  /** Whether users, roles or wishes changed since they were last made right; one cheap call. */
  async #accessIsDue(view: UpkeepView): Promise<boolean> {
    const status = await this.#asLeader(view, ({ access }) => accessStatus(access));
    return status !== undefined && this.#accessDiffers(view, status);
  }

  #accessDiffers({ config }: UpkeepView, { enabled, revision }: AccessStatus): boolean {
    const last = this.#state.access;
    const right = last?.desired === canonicalJson(config.access) && last.revision === revision;
    return enabled !== config.access.enabled || (enabled && !right);
  }

  async #access(view: UpkeepView): Promise<void> {
    await this.#asLeader(view, async ({ access }) => {
      const status = await accessStatus(access);
      if (!this.#accessDiffers(view, status)) {
        return;
      }
      const wish = view.config.access;
      const done = await keepAccess(access, wish, status.enabled);
      if (done.length > 0) {
        this.#did(done.join("; "));
      }
      const { revision } = await accessStatus(access);
      this.#state = { ...this.#state, access: { desired: canonicalJson(wish), revision } };
    });
  }

  /** Asks this member's etcd, if it leads: of what concerns all, one at a time takes care. */
  async #asLeader<T>(
    { config, own }: UpkeepView,
    ask: (endpoint: EtcdEndpoint) => Promise<T>,
  ): Promise<T | undefined> {
    const status = own?.status;
    if (status === undefined || status.leader !== status.id) {
      return undefined;
    }
    const tls = await tlsIfThere();
    return tls === undefined ? undefined : throughEndpoint(config.address, accessAskMs, ask, tls);
  }

  #budgetAction(view: UpkeepView): BudgetAction {
    const { alarms, now } = view;
    return alarms === undefined || openGeneration(view) === undefined
      ? { kind: "idle", reason: "what is raised is not known, or this is not the cluster's data" }
      : budgetAction({
          ...{ self: this.#machine.member, alarms, now, expected: view.members.length },
          members: budgetMembers(view),
          defragmentedAt: this.#state.defragmentedAt,
          curedAt: this.#state.curedAt,
        });
  }

  async #budget(view: UpkeepView): Promise<void> {
    const { config } = view;
    const action = this.#budgetAction(view);
    const tls = await tlsIfThere();
    if (action.kind === "idle" || tls === undefined) {
      return;
    }
    if (action.kind === "cure") {
      this.#state = { ...this.#state, curedAt: Date.now() };
    }
    const done = await keepBudget(action, {
      self: this.#machine.member,
      tls,
      quotaBytes: quotaOf(config),
      targets: view.members.flatMap(({ name, address, status }) =>
        status === undefined ? [] : [{ name, address, id: status.id, dbBytes: status.dbSizeBytes }],
      ),
    });
    const at = Date.now();
    this.#did(done.said);
    const again = Object.fromEntries(done.defragmented.map((name) => [name, at]));
    this.#state = {
      ...this.#state,
      budget: { at, said: done.said },
      defragmentedAt: { ...this.#state.defragmentedAt, ...again },
    };
  }

  #drillIsDue(view: UpkeepView): boolean {
    const { config, drill: last, now, own } = view;
    const generation = openGeneration(view);
    const newest = this.#newest;
    const everyHours = config.backup.drillEveryHours;
    const members = budgetMembers(view);
    return (
      own?.status !== undefined &&
      drillDue({
        ...{ self: this.#machine.member, members, generation, newest, last, everyHours, now },
      })
    );
  }

  async #drill(view: UpkeepView): Promise<void> {
    // Of a run that was ended; there is one at a time.
    await dropWork("drill");
    const { config, own } = view;
    const generation = openGeneration(view);
    const due = this.#drillIsDue(view);
    const tls = await tlsIfThere();
    if (!due || generation === undefined || own?.status === undefined || tls === undefined) {
      return;
    }
    const dbBytes = own.status.dbSizeBytes;
    const result = await throughEndpoint(
      config.address,
      drillAskMs,
      (etcd) => holdDrill({ machine: this.#machine, config, etcd, generation, dbBytes }),
      tls,
    );
    const drill = drillInWords(result);
    this.#did(`drill: ${drill.said}`);
    this.#state = { ...this.#state, drill };
  }

  #did(what: string): void {
    this.#done.push(what);
    say(what);
  }
}

/** Before its first start a machine has no keys; it still says that it waits. */
async function tlsIfThere(): Promise<ClientTls | undefined> {
  return agentTls().catch(() => undefined);
}

function budgetMembers({ members }: UpkeepView): BudgetMember[] {
  return members.flatMap(({ name, status, healthy }) =>
    status === undefined
      ? []
      : [
          {
            ...{ name, healthy, id: status.id, isLearner: status.isLearner },
            isLeader: status.leader === status.id,
            dbBytes: status.dbSizeBytes,
            inUseBytes: status.dbInUseBytes,
          },
        ],
  );
}

function drillInWords(result: DrillResult): NonNullable<UpkeepState["drill"]> {
  const { at, by, proven, against, seconds, corrupt } = result;
  const good =
    proven === undefined
      ? "no backup could be restored"
      : `${proven} was restored, and is right by ${against ?? "revision"} (${seconds} s)`;
  const bad = corrupt.map(({ key, reason }) => `; ${key} is not good: ${reason}`).join("");
  return { at, by, ok: drillOk(result), said: `${good}${bad}`.slice(0, 2000) };
}
