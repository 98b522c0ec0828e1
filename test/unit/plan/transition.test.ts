import fc from "fast-check";

import { compareEtcdVersions, etcdStep } from "../../../components/plan/etcdVersions";
import { transitionProblems, type Shape } from "../../../components/plan/transition";

const shape: Shape = {
  ...{ etcdVersion: "3.6.14", size: 3, volumeSizeGiB: 20 },
  certificateAuthorities: "1",
  kmsKey: "",
};

function problems(before: Partial<Shape>, after: Partial<Shape>): string[] {
  return transitionProblems({ ...shape, ...before }, { ...shape, ...after }).map(
    ({ path, value, rule, remedy }) => `${path} ${String(value)}: ${rule}; ${remedy}`,
  );
}

describe("a change of shape", () => {
  test("volumes keep their key, whoever it belongs to", () => {
    const key = "arn:aws:kms:eu-central-1:123456789012:key/one";
    for (const [before, after] of [
      ["", key],
      [key, ""],
      [key, `${key}2`],
    ] as const) {
      expect(problems({ kmsKey: before }, { kmsKey: after })).toEqual([
        expect.stringMatching(/^kmsKeyArn .*keeps its key.*make-mirror/),
      ]);
    }
    expect(problems({ kmsKey: key }, { kmsKey: key })).toEqual([]);
  });

  test("nothing is known of before: everything may be", () => {
    expect(transitionProblems({}, { ...shape, size: 7 })).toEqual([]);
  });

  test("the same again", () => {
    expect(problems({}, {})).toEqual([]);
  });

  test("all that is wrong comes at once", () => {
    const wrong = transitionProblems(
      { etcdVersion: "3.5.35", size: 7, volumeSizeGiB: 40, certificateAuthorities: "1" },
      { ...shape, etcdVersion: "3.7.3", size: 1, certificateAuthorities: "2" },
    );
    expect(wrong.map(({ path }) => path)).toEqual([
      ...["etcdVersion", "size", "size", "volumeSizeGiB", "certificateAuthorities"],
    ]);
  });

  test("size and version one after the other", () => {
    expect(problems({}, { size: 5, etcdVersion: "3.6.15" })).toEqual([
      "size 5: it changes from 3 while etcd goes from 3.6.14 to 3.6.15, and new members would begin with a version that others do not have yet; change one of them, run `pulumi up`, then change the other",
    ]);
    expect(transitionProblems({ size: 3 }, { ...shape, size: 5 })).toEqual([]);
    expect(
      transitionProblems({ etcdVersion: "3.6.13", certificateAuthorities: "1" }, shape),
    ).toEqual([]);
  });

  test.each([
    [1, 3],
    [1, 7],
    [3, 5],
    [5, 3],
    [3, 1],
    [7, 5],
  ])("from %d members to %d: allowed", (before, after) => {
    expect(problems({ size: before }, { size: after })).toEqual([]);
  });

  test.each([
    [5, 1, 3],
    [7, 3, 5],
    [7, 1, 5],
  ])("from %d members to %d: not in one go", (before, after, next) => {
    const [problem = ""] = problems({ size: before }, { size: after });
    expect(problem).toContain(`a cluster of ${before} shrinks to ${next} at most in one go`);
    expect(problem).toContain(`go to ${next} first`);
  });

  test("volumes grow and do not shrink", () => {
    expect(problems({}, { volumeSizeGiB: 21 })).toEqual([]);
    expect(problems({}, { volumeSizeGiB: 19 })).toEqual([
      "volumeSizeGiB 19: the volumes have 20 GiB, and a volume of EBS cannot be made smaller; choose 20 or more",
    ]);
  });
});

describe("a change of authorities", () => {
  test("a step at a time", () => {
    expect(problems({}, { certificateAuthorities: "1+2" })).toEqual([]);
    expect(problems({}, { certificateAuthorities: "2+1" })).toEqual([
      "certificateAuthorities 2+1: the cluster is at 1, and every step has to reach all members and clients before the next one: 1+2 comes next; set it to 1, or to 1+2 to begin an exchange",
    ]);
  });

  test("a cluster of before there was a root is left alone", () => {
    const { etcdVersion, size, volumeSizeGiB } = shape;
    const earlier = { etcdVersion, size, volumeSizeGiB };
    const [problem, ...more] = transitionProblems(earlier, shape);
    expect(more).toEqual([]);
    expect(problem).toMatchObject({
      path: "certificateAuthorities",
      value: "1",
      rule: expect.stringContaining("one authority without a root over it") as unknown,
    });
  });
});

describe("a change of version", () => {
  test.each([
    ["3.6.14", "3.6.14", "none"],
    ["3.6.14", "3.6.15", "patch"],
    ["3.6.15", "3.6.14", "patch"],
    ["3.5.35", "3.6.14", "up"],
    ["3.5.32", "3.6.14", "up"],
    ["3.6.14", "3.7.3", "up"],
    ["3.6.11", "3.7.3", "up"],
    ["3.7.3", "3.6.14", "down"],
    ["3.6.14", "3.5.35", "down"],
  ])("%s to %s: %s", (before, after, step) => {
    expect(etcdStep(before, after)).toBe(step);
  });

  test.each([
    ["3.5.35", "3.7.3", "one at a time, and this is an upgrade from 3.5.35", "3.6 first"],
    ["3.7.3", "3.5.35", "one at a time, and this is a downgrade from 3.7.3", "3.6 first"],
    ["3.5.31", "3.6.14", "3.6 takes over from 3.5.32 or newer", "go to 3.5.32"],
    ["3.6.10", "3.7.3", "3.7 takes over from 3.6.11 or newer", "go to 3.6.11"],
    ["3.6.14", "4.0.0", "cannot be brought from 3.6.14 to 4.0.0", "a new cluster"],
    ["master", "3.6.14", "cannot be brought from master", "a new cluster"],
  ])("%s to %s: refused", (before, after, rule, remedy) => {
    const step = etcdStep(before, after);
    expect(step).toEqual({
      rule: expect.stringContaining(rule) as unknown,
      remedy: expect.stringContaining(remedy) as unknown,
    });
    expect(problems({ etcdVersion: before }, { etcdVersion: after })).toHaveLength(1);
  });

  test("whatever the versions: a minor is never skipped, and steps are what they are called", () => {
    const version = fc
      .tuple(fc.integer({ min: 4, max: 8 }), fc.integer({ min: 0, max: 60 }))
      .map(([minor, patch]) => ({ minor, text: `3.${minor}.${patch}` }));
    fc.assert(
      fc.property(version, version, (a, b) => {
        const step = etcdStep(a.text, b.text);
        const distance = b.minor - a.minor;
        if (Math.abs(distance) > 1) return typeof step === "object";
        if (distance === -1) return step === "down";
        if (distance === 1) return step === "up" || typeof step === "object";
        return step === (compareEtcdVersions(a.text, b.text) === 0 ? "none" : "patch");
      }),
    );
  });
});
