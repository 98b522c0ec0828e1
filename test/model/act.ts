import { Violation } from "./ledger";
import type { Agent, Decision } from "./gather";
import { promote } from "./membership";
import { stop, volumeOf } from "./onDisk";
import { attest, hold, propose, report } from "./rollSteps";
import { formFirst, rejoin, restore, start } from "./starting";
import { putRecord, type Steps } from "./store";

/** What the agent does, split into the steps between which it may be preempted or die. The order is the agent's own. */

/** Does it. */
export function* act(agent: Agent, decision: Decision): Steps<void> {
  const { action } = decision;
  const { world, machine } = agent;
  switch (action.kind) {
    case "idle":
    case "wait":
    case "refuse":
      return;
    case "createRecord":
      return yield* createRecord(agent);
    case "createVolume":
      yield "creates a volume";
      machine.member.volumeId = world.addVolume().id;
      return;
    case "formFirst":
      return yield* formFirst(agent, action.record);
    case "restore":
      return yield* restore(agent, action.record);
    case "rejoin":
      return yield* rejoin(agent, action.record);
    case "start":
      return yield* start(agent, action);
    case "promote":
      return yield* promote(agent);
    case "setAside":
      return yield* setAside(agent, action.generation);
    case "report":
      return yield* report(agent, decision.facts, action.record, action.holds);
    case "callRoll": {
      const called = world.rules.transitions.withRollCalled(action.record);
      yield* putRecord(world, machine.member, called, decision.etag);
      return;
    }
    case "closeRoll": {
      const closed = world.rules.transitions.withRollClosed(action.record);
      yield* putRecord(world, machine.member, closed, decision.etag);
      return;
    }
    case "hold":
      return yield* hold(agent, action.epoch);
    case "attest":
      return yield* attest(agent, decision.facts, action.record);
    case "propose":
      return yield* propose(agent, decision, action);
  }
}

function* createRecord({ world, machine }: Agent): Steps<void> {
  const initialMembers = [...world.members.values()]
    .filter(({ index }) => index < world.scenario.size)
    .map(({ name, address, configured }) => ({ name, address, volumeId: configured }));
  const config = { cluster: "model", initialMembers } as unknown as Parameters<
    typeof world.rules.transitions.firstRecord
  >[0];
  const first = world.rules.transitions.firstRecord(config);
  yield* putRecord(
    world,
    machine.member,
    { ...first, clusterUid: "uid", token: "first" },
    undefined,
  );
}

function* setAside(agent: Agent, generation: number): Steps<void> {
  const { world } = agent;
  yield* stop(agent);
  yield "removes what was being restored";
  const volume = volumeOf(agent);
  volume.restoring = undefined;
  if (volume.data === undefined) {
    return;
  }
  yield "sets the data aside";
  const there = volumeOf(agent);
  if (there.data !== undefined) {
    if (world.rules.order.keepSetAside) {
      const name = world.unique(`set-aside-${generation}-`);
      there.aside.push({ name, generation, folder: there.data });
    } else if (there.data.wal !== undefined) {
      throw new Violation(4, "data is deleted");
    }
    there.data = undefined;
  }
}
