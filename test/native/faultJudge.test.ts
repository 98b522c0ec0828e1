import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { resultTable } from "../faults/harness/results.ts";
import type { Stored } from "../faults/writer/endpoint.ts";
import { judge, redundant, resumption } from "../faults/writer/judge.ts";
import type { Acknowledged, Health, Line, Unknown } from "../faults/writer/lines.ts";
import { Tail } from "../faults/writer/tail.ts";
import { chosen } from "../lab/chosen.ts";

/** The judge of the fault tests is what every figure of theirs rests on: each rule of it sees its violation here. */

function ack(key: string, revision: number, more: Partial<Acknowledged> = {}): Acknowledged {
  const base = { kind: "ack", key, value: `v-${key}`, revision: String(revision) } as const;
  return {
    ...base,
    clusterId: "c1",
    endpoint: 0,
    sentAt: revision * 10,
    at: revision * 10 + 5,
    ...more,
  };
}

function unknown(key: string, at = 0): Unknown {
  return { kind: "unknown", key, value: `v-${key}`, why: "deadline", sentAt: at, at: at + 1 };
}

function stored(key: string, revision: number, more: Partial<Stored> = {}): Stored {
  const text = String(revision);
  return { key, value: `v-${key}`, created: text, modified: text, version: "1", ...more };
}

function look(since: number, healthy: boolean): Health {
  const facts = { ids: {}, clusterIds: ["c1"], leader: "m1" };
  return {
    kind: "health",
    since,
    at: since + 5,
    healthy,
    why: healthy ? "" : "m1: gone",
    ...facts,
  };
}

test("all is well when what was acknowledged is there and what is unknown may be", () => {
  const verdict = judge(
    [ack("a", 2), ack("b", 3), unknown("x"), unknown("y")],
    [stored("a", 2), stored("b", 3), stored("x", 4)],
  );
  assert.deepEqual(verdict, {
    acknowledged: 2,
    unknown: 2,
    unknownKept: 1,
    lost: [],
    onlyOnDestroyed: [],
    duplicates: [],
    mismatches: [],
    wrongRevisions: [],
    strangers: [],
    violations: [],
    clusterIds: ["c1"],
  });
});

test("an acknowledged write that is not there is lost", () => {
  const { lost, onlyOnDestroyed } = judge([ack("a", 2), ack("b", 3)], [stored("a", 2)]);
  assert.deepEqual(
    lost.map(({ key }) => key),
    ["b"],
  );
  assert.deepEqual(onlyOnDestroyed, []);
});

test("only what is newer than everything that survived is counted apart", () => {
  const lines = [ack("a", 2), ack("b", 3), ack("c", 4)];
  const { lost, onlyOnDestroyed } = judge(lines, [stored("a", 2)], 3n);
  assert.deepEqual(
    lost.map(({ key }) => key),
    ["b"],
  );
  assert.deepEqual(
    onlyOnDestroyed.map(({ key }) => key),
    ["c"],
  );
});

test("values, revisions, repetitions and strangers are told apart", () => {
  const verdict = judge(
    [ack("a", 2), ack("b", 3), ack("c", 4)],
    [
      stored("a", 2, { value: "else" }),
      stored("b", 9),
      stored("c", 4, { version: "2", created: "3" }),
      stored("d", 5),
    ],
  );
  assert.deepEqual(verdict.mismatches, ["a"]);
  assert.deepEqual(verdict.wrongRevisions, ["b"]);
  assert.deepEqual(verdict.duplicates, ["c"]);
  assert.deepEqual(verdict.strangers, ["d"]);
});

test("a cluster that acknowledges after it was replaced is a violation, a late answer is not", () => {
  const first = ack("a", 2);
  const second = ack("b", 3, { clusterId: "c2" });
  const late = ack("c", 4, { sentAt: 1, at: 60 });
  const stale = ack("d", 5);
  const { violations, clusterIds } = judge([first, second, late], []);
  assert.deepEqual([violations, clusterIds], [[], ["c1", "c2"]]);
  assert.deepEqual(judge([first, second, stale], []).violations, [
    "d was acknowledged by cluster c1, which c2 had replaced",
  ]);
});

test("what the writer saw go wrong itself is part of the verdict", () => {
  const seen: Line = { kind: "violation", what: "the watcher went back", at: 1 };
  assert.deepEqual(judge([seen], []).violations, ["the watcher went back"]);
});

test("writes have resumed at the end of the longest silence", () => {
  const lines = [
    ack("before", 1, { sentAt: 90, at: 99 }),
    // On its way when the fault came.
    ack("late", 2, { sentAt: 95, at: 110 }),
    ack("resumed", 3, { sentAt: 700, at: 1710 }),
    ack("after", 4, { sentAt: 1711, at: 1800 }),
  ];
  assert.deepEqual(resumption(lines, 100), { resumedMs: 1610, silenceMs: 1600 });
});

test("without a silence to speak of, the first write sent after the fault counts", () => {
  const lines = [
    ack("late", 2, { sentAt: 95, at: 110 }),
    ack("next", 3, { sentAt: 111, at: 125 }),
    ack("after", 4, { sentAt: 126, at: 200 }),
  ];
  assert.deepEqual(resumption(lines, 100), { resumedMs: 25, silenceMs: 75 });
  assert.deepEqual(resumption([], 100), { resumedMs: undefined, silenceMs: 0 });
});

test("redundancy counts only after the fault, and where it must break, after it broke", () => {
  const looks = [look(10, true), look(20, true), look(30, false), look(40, true)];
  assert.equal(redundant(looks, 15, false)?.since, 20);
  assert.equal(redundant(looks, 15, true)?.since, 40);
  assert.equal(redundant(looks.slice(0, 2), 15, true), undefined);
});

test("a journal that grows is read line by line, also when a line is cut off", () => {
  const folder = mkdtempSync(join(tmpdir(), "etcd-journal-"));
  try {
    const file = join(folder, "journal");
    const tail = new Tail(file);
    assert.deepEqual(tail.read(), []);
    const [one, two] = [JSON.stringify(ack("ä", 1)), JSON.stringify(ack("b", 2))];
    const bytes = Buffer.from(`${one}\n${two}`);
    // In the middle of a character of two bytes.
    const cut = bytes.indexOf("ä") + 1;
    writeFileSync(file, bytes.subarray(0, cut));
    assert.equal(tail.read().length, 0);
    appendFileSync(file, bytes.subarray(cut));
    assert.deepEqual(tail.read(), [ack("ä", 1)]);
    appendFileSync(file, "\n");
    assert.deepEqual(tail.read(), [ack("ä", 1), ack("b", 2)]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a filter's words are cases, or the first words of cases; a word that is neither is an error", () => {
  const names = ["process-leader", "process-all", "grow", "grow-killed", "zone"];
  assert.deepEqual(chosen(names, ""), names);
  assert.deepEqual(chosen(names, "process"), ["process-leader", "process-all"]);
  assert.deepEqual(chosen(names, "zone,process-all"), ["process-all", "zone"]);
  assert.deepEqual(chosen(names, "grow"), ["grow"]);
  assert.throws(
    () => chosen(names, "zone,proc"),
    /there is no proc; there are process-leader, pro/,
  );
});

test("the table at the end has a row per fault", () => {
  const result = {
    ...{
      line: "zone",
      what: "",
      then: "",
      acknowledged: 1200,
      lost: 0,
      onlyOnDestroyed: 0,
      unknown: 3,
    },
    order: 0,
    ...{ resumedSeconds: 1.26, silenceSeconds: 1.2, redundantSeconds: null, notes: {} },
  };
  assert.equal(
    resultTable([result]),
    [
      "fault  acknowledged  lost  only on destroyed  writes resumed  full redundancy",
      "zone   1200          0     0                  1.3 s           -",
    ].join("\n"),
  );
});
