import fc from "fast-check";

import { firstMembersFor, type FirstMember } from "../../../components/plan/firstMembers";

function member(number: number, incarnation = 0): FirstMember {
  const suffix = `${incarnation}${number}`.padStart(8, "0");
  return {
    name: `m${number}`,
    address: `10.42.${incarnation}.${number}`,
    volumeId: `vol-${suffix}`,
  };
}

const first = [1, 2, 3].map((number) => member(number));

test("a first member has all of them, whatever the size is by now", () => {
  expect(firstMembersFor(member(1), first)).toEqual(first);
});

test("a member that came later is not among them", () => {
  expect(firstMembersFor(member(4), first)).toEqual(first);
});

test("its own volume is the one that it has now", () => {
  const own = { ...member(2), volumeId: "vol-0000beef" };
  expect(firstMembersFor(own, first)).toEqual([member(1), own, member(3)]);
});

test("whoever came back under an old name is not the one who was there", () => {
  expect(firstMembersFor(member(3, 1), first)).toEqual([member(1), member(2)]);
});

test("nobody's document is without first members", () => {
  expect(firstMembersFor(member(1, 1), [member(1)])).toEqual([member(1, 1)]);
});

test("members come and go: nobody's document changes, and none has an address twice", () => {
  // Addresses are given out again, also to others than before.
  const incarnation = fc.record({
    number: fc.integer({ min: 1, max: 7 }),
    host: fc.integer({ min: 1, max: 9 }),
    volume: fc.integer({ min: 100, max: 999 }),
  });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 7 }), incarnation, (size, { number, host, volume }) => {
      const remembered = Array.from({ length: size }, (_, index) => member(index + 1));
      const own = {
        name: `m${number}`,
        address: `10.42.0.${host}`,
        volumeId: `vol-${volume}00000`,
      };
      const made = firstMembersFor(own, remembered);
      for (const field of ["name", "address", "volumeId"] as const) {
        expect(new Set(made.map((each) => each[field])).size).toBe(made.length);
      }
      const self = made.find(({ name }) => name === own.name);
      expect(self === undefined || self === own).toBe(true);
    }),
  );
});
