import { stepProcess } from "./agent";
import { campaign, leaderOf, readMembers, replicate, sync } from "./etcd";
import { Chooser, happen, launch, time, write } from "./faults";
import { Violation } from "./ledger";
import { configurationAt, holdingOf, nameOf } from "./log";
import { settle } from "./operator";
import type { Rules } from "./rules";
import { scenarioOf, type Profile, type Scenario } from "./scenario";
import { World } from "./world";

/** One run: faults for a while, then everything becomes well, and there must be service, or a wait that says what it needs. */

/** How a run went. */
export interface Outcome {
  readonly scenario: Scenario;
  readonly steps: number;
  readonly violation?: Violation;
  /** What the cluster came to in the end. */
  readonly end: string;
  readonly counts: {
    readonly acknowledged: number;
    readonly lost: number;
    readonly generations: number;
    readonly rollCalls: number;
  };
  readonly trace?: readonly string[];
}

/** Fair rounds after which there must be service again. */
const patience = 700;

/** Runs a scenario. */
export function run(
  scenario: Scenario,
  rules: Rules,
  { traced = false, brief = false }: { readonly traced?: boolean; readonly brief?: boolean } = {},
): Outcome {
  const world = new World(scenario, rules, traced);
  let end = "";
  let violation: Violation | undefined;
  try {
    disturb(world);
    end = brief ? "faults" : recover(world);
  } catch (error) {
    if (!(error instanceof Violation)) {
      throw error;
    }
    violation = error;
    world.say("model", error.message);
    if (world.trace !== undefined) {
      dump(world);
    }
  }
  const { acknowledged, lost, generations, rollCalls } = world.ledger;
  return {
    scenario,
    steps: world.steps,
    end,
    counts: { acknowledged, lost, generations, rollCalls },
    ...(violation === undefined ? {} : { violation }),
    ...(world.trace === undefined ? {} : { trace: world.trace }),
  };
}

/** The scenario of a seed, run. */
export function runSeed(
  seed: number,
  steps: number,
  rules: Rules,
  options: { readonly traced?: boolean; readonly profile?: Profile; readonly brief?: boolean } = {},
): Outcome {
  return run(scenarioOf(seed, steps, options.profile), rules, options);
}

function disturb(world: World): void {
  const { scenario, random } = world;
  for (const member of world.members.values()) {
    if (random.chance(0.8)) {
      launch(world, member);
    }
  }
  const chooser = new Chooser(scenario.rates);
  while (world.steps < scenario.steps) {
    world.steps += 1;
    const kind = chooser.choose(world);
    if (kind === "agent") {
      const machine = random.pick([...world.members.values()])?.machine;
      const process = machine === undefined ? undefined : random.pick(machine.processes);
      if (machine !== undefined && process !== undefined) {
        stepProcess(world, machine, process);
      }
    } else if (kind === "operator") {
      stepOperators(world);
    } else {
      happen(world, kind);
    }
  }
}

function stepOperators(world: World): void {
  const [operator] = world.operators;
  if (operator === undefined) {
    return;
  }
  const { done, value } = operator.next();
  if (world.trace !== undefined && value !== undefined) {
    world.say("operator", value);
  }
  if (done === true || (world.chaos && world.random.chance(0.004))) {
    world.operators.shift();
    for (const member of world.members.values()) {
      member.fenced = false;
    }
  }
}

/** No more faults: all machines are replaced, all volumes can be had, the network and the bucket are well. */
function becomeWell(world: World): void {
  world.chaos = false;
  world.say("model", "everything becomes well");
  while (world.bucket.late.length > 0) {
    world.bucket.settle(0, world.random.chance(0.5));
  }
  world.operators.length = 0;
  for (const member of world.members.values()) {
    member.cut = 0;
    member.s3 = true;
    member.fenced = false;
    member.attachable = true;
    rightVolume(world, member.name);
  }
}

/** Whoever put a wrong volume there takes it away again. */
function rightVolume(world: World, name: string): void {
  const member = world.members.get(name);
  if (member === undefined) {
    return;
  }
  const { marker } = world.volumeOf(member).data ?? {};
  if (marker !== undefined && marker.volumeId !== member.volumeId) {
    if (member.machine !== undefined) {
      world.destroy(member.machine);
    }
    member.volumeId = marker.volumeId;
  }
}

function recover(world: World): string {
  becomeWell(world);
  for (let round = 0; round < patience; round += 1) {
    if (round === patience / 2) {
      world.waits.clear();
    }
    fairRound(world, round);
    if (round % 8 === 7 && isWell(world)) {
      return "service";
    }
  }
  return named(world);
}

function fairRound(world: World, round: number): void {
  const { random } = world;
  time(world, 5);
  for (const member of random.shuffled([...world.members.values()])) {
    launch(world, member);
    const { machine } = member;
    if (machine === undefined) {
      continue;
    }
    for (const process of [...machine.processes]) {
      for (let steps = 0; steps < 6 && machine.processes.includes(process); steps += 1) {
        world.steps += 1;
        stepProcess(world, machine, process);
      }
    }
    if (random.chance(0.5)) {
      world.startService(machine);
    }
  }
  if (world.operators.length === 0 && round % 50 === 49) {
    world.operators.push(settle(world));
  }
  for (let steps = 0; steps < 4; steps += 1) {
    world.steps += 1;
    stepOperators(world);
  }
  for (const etcd of random.shuffled(world.running())) {
    world.steps += 1;
    if (etcd.leads) {
      sync(world, etcd);
      const { voters, learners } = etcd.configuration;
      for (const id of [...voters, ...learners]) {
        replicate(world, etcd, id, 50, 0);
      }
    } else if (leaderOf(world, etcd) === undefined && random.chance(0.2)) {
      campaign(world, etcd, 0);
    }
  }
  if (round % 10 === 0) {
    write(world);
  }
}

/** Every member of the roster votes and runs, in the record's generation, and has everything that was promised. */
function isWell(world: World): boolean {
  const { record } = world;
  const leader = world.running().find((each) => each.leads && readMembers(world, each));
  if (record === undefined || record.phase !== "open" || leader === undefined) {
    return false;
  }
  const list = leader.configuration;
  const expected = record.roster.filter(({ leaving }) => leaving !== true).map(({ name }) => name);
  return (
    leader.generation === record.generation &&
    list.learners.length === 0 &&
    list.voters.length === record.roster.length &&
    expected.every((name) =>
      list.voters.some(
        (id) =>
          nameOf(id) === name &&
          world
            .running()
            .some((each) => each.id === id && leaderOf(world, each) === leader && each.commit > 0),
      ),
    )
  );
}

/** There is no service: then somebody must say what would bring it, and be right. */
function named(world: World): string {
  const { record, scenario, waits } = world;
  const folders = (record?.roster ?? []).flatMap(({ name }) => {
    const member = world.members.get(name);
    const volume = member === undefined ? undefined : world.volumeOf(member);
    return volume?.exists === true
      ? [volume.data, ...volume.aside.map(({ folder }) => folder)]
      : [];
  });
  const copies = folders.filter((folder) => folder?.wal?.base !== undefined);
  if (waits.has("operator") && scenario.recovery === "manual") {
    return "wait:operator";
  }
  const usable = world.backups.filter(({ sha256 }) => world.contents.get(sha256)?.readable);
  if (
    waits.has("noSource") &&
    (record?.formed === true || record?.source.kind === "snapshot") &&
    copies.length + usable.length === 0 &&
    world.ledger.disksWereLost
  ) {
    return "wait:noSource";
  }
  const hard = copies.some(
    (folder) =>
      folder?.damage !== undefined ||
      (folder?.wal !== undefined &&
        !configurationAt(folder.wal, folder.wal.entries.length).voters.includes(folder.wal.id)),
  );
  if (waits.has("survivor") && hard) {
    return "wait:survivor";
  }
  const damaged = folders.filter((folder) => folder?.damage !== undefined).length;
  if (waits.has("damaged") && damaged > 1) {
    return "wait:damaged";
  }
  throw new Violation(7, `there is no service: ${lastWords(world)}`);
}

function lastWords(world: World): string {
  return [...world.members.values()]
    .map(({ name, machine }) => {
      const decision = machine?.decision;
      return `${name} ${decision?.kind === "wait" ? decision.name : (decision?.kind ?? "nothing")}`;
    })
    .join(", ");
}

/** What is everywhere, at the end of a trace. */
function dump(world: World): void {
  world.say("record", JSON.stringify(world.record));
  for (const member of world.members.values()) {
    const { data, aside, exists, formatted } = world.volumeOf(member);
    const { wal, ...rest } = data ?? {};
    const log =
      wal === undefined
        ? ""
        : JSON.stringify({
            ...holdingOf(wal, 0, undefined),
            ...wal,
            base: 0,
            entries: wal.entries.length,
          });
    world.say(
      member.name,
      `volume ${member.volumeId} ${exists} ${formatted} ${JSON.stringify(rest)} ${log} aside ${aside.length}`,
    );
    const { machine } = member;
    world.say(
      member.name,
      `machine ${machine?.instanceId} ${machine?.service} ${machine?.permit} ${machine?.restarts} ${JSON.stringify(machine?.decision?.kind)} etcd ${machine?.etcd?.id} commit ${machine?.etcd?.commit} ${JSON.stringify(machine?.etcd?.configuration)} leads ${machine?.etcd?.leads}`,
    );
  }
}
