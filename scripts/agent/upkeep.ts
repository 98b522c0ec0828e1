import { setTimeout as sleep } from "node:timers/promises";

import { canonicalJson } from "../../components/plan/canonicalJson";
import { accessStatus, keepAccess } from "./accessAct";
import { backupDue, takeBackup } from "./backup";
import type { Backup } from "./backupKey";
import { markExpendable } from "./backupStore";
import { budgetAction, type BudgetMember } from "./budget";
import { keepBudget } from "./budgetAct";
import { dropWork, quotaOf } from "./backupSnapshot";
import { holdDrill } from "./drill";
import { drillDue, drillOk, type DrillResult } from "./drillResult";
import { agentTls, throughEndpoint, type ClientTls } from "./etcd";
import { approvedState, thisMachine, type Machine } from "./machine";
import { publish } from "./metrics";
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

/**
 * What etcd-upkeep.timer runs every minute: metrics, a backup if one is due, the disk's budget, a restore drill if one is due. Each part
 * can fail without touching the others, and none ever stops or starts etcd.
 */
export async function upkeep(machine?: Machine): Promise<Upkeep> {
  const run = new Run(machine ?? (await thisMachine()), await readUpkeepState());
  return run.all();
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

  async #part(name: string, action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      const reason = reasonOf(error).slice(0, 2000);
      this.#problems[name] = reason;
      say(`${name}: ${reason}`);
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

  async #backup(view: UpkeepView): Promise<void> {
    const { own, config, newest, now, alarms } = view;
    const status = own?.status;
    const due = backupDue({
      ...{ status, newest, now, everyMinutes: config.backup.everyMinutes },
      generation: openGeneration(view),
      corrupt:
        alarms?.some(({ kind, memberId }) => kind === "Corrupt" && memberId === status?.id) ??
        false,
    });
    if (view.bucketProblem !== undefined) {
      throw new Error(view.bucketProblem);
    }
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

  /** The leader's affair, so that one at a time does it. Asked again only when users, roles or wishes changed. */
  async #access({ config, own }: UpkeepView): Promise<void> {
    const status = own?.status;
    const tls = await tlsIfThere();
    if (tls === undefined || status === undefined || status.leader !== status.id) {
      return;
    }
    const desired = canonicalJson(config.access);
    await throughEndpoint(
      config.address,
      accessAskMs,
      async ({ access }) => {
        const { enabled, revision } = await accessStatus(access);
        const last = this.#state.access;
        const right = last?.desired === desired && last.revision === revision;
        if (enabled === config.access.enabled && (right || !enabled)) {
          return;
        }
        const done = await keepAccess(access, config.access);
        if (done.length > 0) {
          this.#did(done.join("; "));
        }
        const now = await accessStatus(access);
        this.#state = { ...this.#state, access: { desired, revision: now.revision } };
      },
      tls,
    );
  }

  async #budget(view: UpkeepView): Promise<void> {
    const { alarms, config, now } = view;
    const tls = await tlsIfThere();
    if (alarms === undefined || tls === undefined || openGeneration(view) === undefined) {
      return;
    }
    const action = budgetAction({
      ...{ self: this.#machine.member, alarms, now, expected: view.members.length },
      members: budgetMembers(view),
      defragmentedAt: this.#state.defragmentedAt,
      curedAt: this.#state.curedAt,
    });
    if (action.kind === "idle") {
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

  async #drill(view: UpkeepView): Promise<void> {
    // Of a run that was ended; there is one at a time.
    await dropWork("drill");
    const { config, drill: last, now, own } = view;
    const generation = openGeneration(view);
    const newest = this.#newest;
    const everyHours = config.backup.drillEveryHours;
    const members = budgetMembers(view);
    const due = drillDue({
      ...{ self: this.#machine.member, members, generation, newest, last, everyHours, now },
    });
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
