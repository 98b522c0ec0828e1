import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { cases, expectedOf, minors, Scratch, segmentsOf, withoutReserve } from "./walFixture";

/** A log that lost its end, with the database that etcd made of it: what etcd wrote, looked at as it is and cut off. */

type Agent = Pick<typeof import("../../../scripts/agent/damage"), "damageOf" | "Log"> &
  Pick<typeof import("../../../scripts/agent/wal"), "readLog">;

// Segments of 64 MiB are unpacked first.
jest.setTimeout(60_000);

const scratch = new Scratch();
const root = mkdtempSync(join(tmpdir(), "etcd-lost-end-"));
const data = join(root, "var/lib/etcd/data");
let agent: Agent;

beforeAll(() => {
  process.env["ETCD_AGENT_ROOT"] = root;
  agent = {
    ...jest.requireActual<Agent>("../../../scripts/agent/damage"),
    ...jest.requireActual<Agent>("../../../scripts/agent/wal"),
  };
  delete process.env["ETCD_AGENT_ROOT"];
});
afterEach(() => {
  rmSync(data, { recursive: true });
});
afterAll(() => {
  rmSync(root, { recursive: true });
  scratch.remove();
});

/** Gives the machine a member's data. */
function give(minor: string, name: string): void {
  cpSync(scratch.fixture(minor, name), data, { recursive: true });
}

const all = minors.flatMap((minor) => cases.map((name): [string, string] => [minor, name]));

it.each(all)("what etcd %s left of a %s is whole", async (minor, name) => {
  give(minor, name);
  expect(await agent.damageOf(new agent.Log())).toBeUndefined();
});

it.each(minors)("a log of etcd %s that lost its end: the database tells", async (minor) => {
  give(minor, "voter");
  const applied = BigInt(expectedOf(minor, "voter").database.consistent_index);
  const [segment, bytes] = Object.entries(segmentsOf(data)).at(-1) ?? ["", Buffer.alloc(0)];
  let whole = withoutReserve(bytes);
  // Cut where nothing in the log itself shows it: its last hard state does not know of more.
  for (;;) {
    whole = whole.subarray(0, whole.length - 64);
    expect(whole.length).toBeGreaterThan(0);
    writeFileSync(join(data, "member", "wal", segment), whole);
    const { damage, index } = await agent.readLog(data);
    if (damage === undefined && index < applied) break;
  }
  const { index } = await agent.readLog(data);
  const said = `the write-ahead log ends at ${index}, and the database has entries up to ${applied}`;
  expect(await agent.damageOf(new agent.Log())).toBe(said);
  // Without the database nothing can be said; etcd will not start without it.
  const database = join(data, "member", "snap", "db");
  const kept = readFileSync(database);
  writeFileSync(database, kept.subarray(0, 100));
  expect(await agent.damageOf(new agent.Log())).toBeUndefined();
});

it("what the bucket knows is asked for last", async () => {
  give("3.6", "voter");
  const { memberId: id = "", index } = await agent.readLog(data);
  const reached = { id, index: Number(index) + 1 };
  expect(await agent.damageOf(new agent.Log(), reached)).toContain("an older copy of the volume");
  reached.index -= 1;
  expect(await agent.damageOf(new agent.Log(), reached)).toBeUndefined();
  writeFileSync(join(data, "etcd-cluster.commit"), `${index + 1n}\n`);
  expect(await agent.damageOf(new agent.Log(), reached)).toContain("was committed");
});
