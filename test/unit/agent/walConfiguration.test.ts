import { configurationAt, type PlacedChange } from "../../../scripts/agent/walConfiguration";
import { changeTypes } from "../../../scripts/agent/walProto";

/** Who takes part at an index, and who did once. */

const change = (index: number, type: number, node: bigint): PlacedChange => ({
  index: BigInt(index),
  type,
  node,
  context: Buffer.from("{}"),
});

const changes = [
  ...[1n, 2n, 3n].map((node, at) => change(at + 1, changeTypes.addNode, node)),
  change(10, changeTypes.removeNode, 3n),
  change(20, changeTypes.addLearner, 4n),
];

it("one that was removed is told from one that has not got to its own beginning yet", () => {
  expect(configurationAt(9n, [], changes)).toEqual({
    voters: ["1", "2", "3"],
    learners: [],
    removed: [],
  });
  // Member 4 has this much of the log, and takes part; member 3 does not any more. Neither is in the configuration.
  expect(configurationAt(15n, [], changes)).toEqual({
    voters: ["1", "2"],
    learners: [],
    removed: ["3"],
  });
  expect(configurationAt(20n, [], changes)).toEqual({
    voters: ["1", "2"],
    learners: ["4"],
    removed: ["3"],
  });
});

it("an id that was removed never comes back, and the removal of a stranger is none", () => {
  const more = [
    ...changes,
    change(21, changeTypes.addNode, 3n),
    change(22, changeTypes.removeNode, 9n),
  ];
  expect(configurationAt(22n, [], more)).toEqual({
    voters: ["1", "2"],
    learners: ["4"],
    removed: ["3"],
  });
});
