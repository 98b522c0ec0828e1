import type { ClusterRecord } from "../../scripts/agent/record";
import { Abandoned, propose as proposeChange, readMembers } from "./etcd";
import { askOthers, reachable, type Agent } from "./gather";
import { nameOf, type Entry, type Wal } from "./log";
import type { Steps } from "./store";

/** How an agent has etcd change its members, and waits for it. */

export function* replaceByLearner(agent: Agent, record: ClusterRecord): Steps<void> {
  const { world, machine } = agent;
  const { name } = machine.member;
  yield "lists the members";
  const list = askOthers(world, machine);
  if (list === undefined) {
    throw new Abandoned("nobody answers");
  }
  const stale = [...list.voters, ...list.learners].filter((id) => {
    const entry = record.roster.find((each) => each.name === nameOf(id));
    const blocks = list.learners.includes(id) && (entry === undefined || entry.leaving === true);
    return nameOf(id) === name || blocks;
  });
  for (const id of stale) {
    yield* change(agent, "remove", id);
  }
  yield* change(agent, "addLearner", world.unique(`${name}.n`));
}

/** Has etcd change its members through another one, and waits until that one has applied it. */
function* change(agent: Agent, kind: "addLearner" | "promote" | "remove", id: string): Steps<void> {
  const { world, machine } = agent;
  yield `asks for: ${kind} ${id}`;
  const through = reachable(world, machine).find((each) => readMembers(world, each) !== undefined);
  if (through === undefined) {
    throw new Abandoned("nobody answers");
  }
  const entry = proposeChange(world, through, kind, id);
  yield* applied(through, entry);
}

function* applied(etcd: { wal: Wal; commit: number }, entry: Entry): Steps<void> {
  for (let patience = 0; patience < 12; patience += 1) {
    yield "waits for etcd to apply it";
    if (etcd.wal.entries.lastIndexOf(entry, etcd.commit - 1) >= 0 && etcd.commit > 0) {
      return;
    }
  }
  throw new Abandoned("etcd did not apply it in time");
}

export function* promote(agent: Agent): Steps<void> {
  const { etcd } = agent.machine;
  if (etcd !== undefined) {
    yield* change(agent, "promote", etcd.id);
  }
}
