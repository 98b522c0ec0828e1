import fc from "fast-check";

import {
  authoritiesOf,
  authoritiesProblem,
  authoritiesStepProblem,
  parseAuthorities,
} from "../../../components/plan/authorities";

/** The value after so many steps, told apart from the code's own way of counting. */
function after(steps: number): string {
  const old = Math.floor(steps / 3) + 1;
  return [`${old}`, `${old}+${old + 1}`, `${old + 1}+${old}`][steps % 3] ?? "";
}

const steps = fc.integer({ min: 0, max: 60 });

describe("a value", () => {
  test.each([
    ["1", { signer: 1, trusted: [1], dropped: [] }],
    ["1+2", { signer: 1, trusted: [1, 2], dropped: [] }],
    ["2+1", { signer: 2, trusted: [2, 1], dropped: [] }],
    ["2", { signer: 2, trusted: [2], dropped: [1] }],
    ["3+2", { signer: 3, trusted: [3, 2], dropped: [1] }],
    ["10", { signer: 10, trusted: [10], dropped: [1, 2, 3, 4, 5, 6, 7, 8, 9] }],
  ])("%s", (value, expected) => {
    expect(authoritiesOf(value)).toEqual(expected);
    expect(authoritiesProblem(value)).toBeUndefined();
  });

  test.each(["", "0", "1+1", "1+3", "3+1", "2+1+3", "1 + 2", "+1", "100", "one", "01"])(
    "%j is none",
    (value) => {
      expect(parseAuthorities(value)).toBeUndefined();
      expect(authoritiesProblem(value)).toMatchObject({ path: "certificateAuthorities", value });
    },
  );
});

describe("what may follow", () => {
  test("the next one, the same, and the one before unless something was dropped", () => {
    fc.assert(
      fc.property(steps, steps, (from, to) => {
        const allowed = to === from || to === from + 1 || (to === from - 1 && from % 3 !== 0);
        expect(authoritiesStepProblem(after(from), after(to)) === undefined).toBe(allowed);
      }),
    );
  });

  test("whatever may follow keeps somebody's trust in the one that signs", () => {
    fc.assert(
      fc.property(steps, steps, (from, to) => {
        if (authoritiesStepProblem(after(from), after(to)) === undefined) {
          const [before, next] = [authoritiesOf(after(from)), authoritiesOf(after(to))];
          // Members and clients still at the value before trust what is signed now, and the other way round.
          expect(before.trusted).toContain(next.signer);
          expect(next.trusted).toContain(before.signer);
          expect(next.dropped).toEqual(expect.arrayContaining([...before.dropped]));
        }
      }),
    );
  });

  test.each([
    ["1", "2", "1+2 comes next", "set it to 1, or to 1+2 to begin an exchange"],
    ["1", "2+1", "1+2 comes next", "set it to 1, or to 1+2 to begin an exchange"],
    ["1+2", "2", "2+1 comes next", "set it to 2+1, or to 1 to go back"],
    ["2", "2+1", "never trusted again", "set it to 2, or to 2+3 to begin an exchange"],
    ["2+1", "1", "only the last step can be taken back", "set it to 2, or to 1+2 to go back"],
  ])("%s, then %s: refused", (from, to, rule, remedy) => {
    const problem = authoritiesStepProblem(from, to);
    expect(problem?.rule).toContain(rule);
    expect(problem?.remedy).toBe(remedy);
    expect(problem).toMatchObject({ path: "certificateAuthorities", value: to });
  });
});
