import assert from "node:assert/strict";
import { describe, test } from "node:test";

import {
  plan,
  type Facts,
  type TargetState,
} from "../../examples/ha-web-app/machine/deploy/plan.ts";
import { Failed, roll, type Hands } from "../../examples/ha-web-app/machine/deploy/roll.ts";

/** The web app's deployment: what is decided, and in which order it is done on a machine that may fail at any point. */

const self = "10.0.0.1";
const other = "10.0.0.2";

describe("plan", () => {
  const facts: Facts = {
    self,
    wanted: "new",
    installed: "old",
    serves: true,
    targets: [
      { address: self, state: "healthy" },
      { address: other, state: "healthy" },
    ],
  };
  const own = (state: TargetState, rest: Partial<Facts> = {}): Facts => ({
    ...facts,
    targets: [
      { address: self, state },
      { address: other, state: "healthy" },
    ],
    ...rest,
  });

  test("in place and in service: nothing", () => {
    assert.deepEqual(plan({ ...facts, installed: "new" }), { steps: [] });
  });

  test("in place and not in service: back, without another installation", () => {
    for (const state of ["unused", "draining", "initial", "unhealthy"] as const) {
      assert.deepEqual(plan(own(state, { installed: "new" })), { steps: ["join"] });
    }
  });

  test("another release, other settings, or one that does not serve: drained first", () => {
    const steps = ["drain", "install", "join"];
    assert.deepEqual(plan(facts), { steps });
    assert.deepEqual(plan({ ...facts, installed: "new", serves: false }), { steps });
    assert.deepEqual(plan({ ...facts, installed: undefined }), { steps });
    for (const state of ["draining", "initial", "unhealthy"] as const) {
      assert.deepEqual(plan(own(state)), { steps });
    }
    assert.deepEqual(plan({ ...facts, targets: [] }), { steps: ["install", "join"] });
  });

  test("the last healthy target is not taken out; one that is not healthy costs nobody anything", () => {
    for (const state of ["initial", "unhealthy", "draining"] as const) {
      const targets = [
        { address: self, state: "healthy" as const },
        { address: other, state },
      ];
      const decision = plan({ ...facts, targets });
      assert.ok("refused" in decision);
      assert.match(
        decision.refused,
        new RegExp(`${self} is the only healthy target \\(${other} is ${state}\\)`),
      );
    }
    const alone = plan({ ...facts, targets: [{ address: self, state: "healthy" }] });
    assert.ok("refused" in alone && /there is no other/.test(alone.refused));
    const sick = [
      { address: self, state: "unhealthy" as const },
      { address: other, state: "unhealthy" as const },
    ];
    assert.deepEqual(plan({ ...facts, targets: sick }), { steps: ["drain", "install", "join"] });
  });
});

/** A machine and its balancer on paper; nothing moves unless it is looked at, and every look is one tick. */
class Paper {
  readonly log: string[] = [];
  state: TargetState = "healthy";
  otherState: TargetState = "healthy";
  running = "old";
  completed: string | undefined = "old";
  open = 2;
  /** How long it drains. */
  looks = 5;
  /** Releases that do not serve. */
  readonly broken = new Set<string>();
  /** Connections that never end. */
  stuck = false;

  hands(limits = { drain: 1, start: 0.02, healthy: 1 }): Hands {
    return {
      self,
      limits,
      look: 1,
      say: (line) => this.log.push(line),
      balancer: {
        targets: () => {
          const targets = [{ address: other, state: this.otherState }];
          if (this.state !== "unused") targets.push({ address: self, state: this.state });
          // What was asked for shows at a later look.
          if (this.state === "draining" && (this.looks -= 1) <= 0) this.state = "unused";
          else if (this.state === "initial") this.state = "healthy";
          return Promise.resolve(targets);
        },
        deregister: () => {
          assert.ok(!["unused", "draining"].includes(this.state), "deregistered twice");
          this.log.push("deregister");
          this.state = "draining";
          return Promise.resolve();
        },
        register: () => {
          this.log.push(`register ${this.running}`);
          this.state = "initial";
          return Promise.resolve();
        },
      },
      machine: {
        installed: () => this.completed,
        install: (digest) => {
          assert.ok(this.state === "unused" && this.open === 0, `installed while ${this.state}`);
          this.log.push(`install ${digest}`);
          this.completed = undefined;
          this.running = digest;
          return Promise.resolve();
        },
        fault: () => Promise.resolve(this.broken.has(this.running) ? "it is broken" : undefined),
        complete: (digest) => {
          this.completed = digest;
        },
        connections: () => {
          const now = this.open;
          if (!this.stuck && this.open > 0) this.open -= 1;
          return Promise.resolve(now);
        },
        prune: () => this.log.push("prune"),
      },
    };
  }
}

describe("roll", () => {
  test("drained, then installed, then proven, then back", async () => {
    const paper = new Paper();
    assert.deepEqual(await roll("new", paper.hands()), ["drain", "install", "join"]);
    assert.deepEqual(paper.log, [
      ...["drain", "deregister", "install", "install new", "join", "register new", "prune"],
    ]);
    assert.equal(paper.state, "healthy");
    assert.equal(paper.completed, "new");
  });

  test("a drain that another run began is waited for", async () => {
    const paper = new Paper();
    paper.state = "draining";
    await roll("new", paper.hands());
    assert.deepEqual(paper.log.slice(0, 2), ["drain", "install"]);
  });

  test("a release that does not serve is taken back before anybody is sent to it", async () => {
    const paper = new Paper();
    paper.broken.add("new");
    await assert.rejects(
      roll("new", paper.hands()),
      (error: Error) =>
        error instanceof Failed &&
        error.message ===
          "it does not serve: it is broken; what was there before is in place again",
    );
    assert.deepEqual(paper.log, [
      ...["drain", "deregister", "install", "install new", "back", "install old", "register old"],
    ]);
    assert.equal(paper.completed, "old");
  });

  test("if neither serves, nobody is sent there", async () => {
    const paper = new Paper();
    paper.broken.add("new").add("old");
    await assert.rejects(roll("new", paper.hands()), /neither does what was there before/);
    assert.ok(!paper.log.some((line) => line.startsWith("register")));
    assert.equal(paper.completed, undefined);
  });

  test("the first release of a machine has nothing to go back to", async () => {
    const paper = new Paper();
    Object.assign(paper, { state: "unused", completed: undefined, open: 0 });
    paper.broken.add("new");
    await assert.rejects(roll("new", paper.hands()), /^Error: it does not serve: it is broken$/);
    assert.deepEqual(paper.log, ["install", "install new"]);
  });

  test("connections that do not end: nothing is installed, and it is a target again", async () => {
    const paper = new Paper();
    paper.stuck = true;
    await assert.rejects(
      roll("new", paper.hands({ drain: 0.05, start: 1, healthy: 1 })),
      /not drained within 0.05 s: the target is unused, with 2 connections; it is a target again/,
    );
    assert.deepEqual(paper.log, ["drain", "deregister", "register old"]);
    assert.equal(paper.completed, "old");
  });

  test("refused: nothing is done", async () => {
    const paper = new Paper();
    paper.otherState = "unhealthy";
    await assert.rejects(roll("new", paper.hands()), /the only healthy target/);
    assert.deepEqual(paper.log, []);
  });
});
