import assert from "node:assert/strict";
import { test } from "node:test";
import { isOfPulumi, type ProcessFacts } from "../../lab/cli/leftovers.ts";

const state = "/state";
const cache = "/cache";
const lab = [`PATH=/bin`, `ETCD_LAB_STATE=${state}`];

const cases: readonly [string, Omit<ProcessFacts, "pid">, boolean][] = [
  [
    "the engine",
    { executable: "/cache/engine-1/pulumi", arguments: ["pulumi", "up"], environment: lab },
    true,
  ],
  [
    "the host's own engine",
    { executable: "/opt/pulumi/pulumi", arguments: ["pulumi", "up"], environment: lab },
    true,
  ],
  [
    "the language host",
    {
      executable: "/cache/engine-1/pulumi-language-nodejs",
      arguments: ["pulumi-language-nodejs", "127.0.0.1:1"],
      environment: lab,
    },
    true,
  ],
  [
    "a provider",
    {
      executable: "/cache/engine-1/node",
      arguments: ["node", "/checkout/lab/providers/aws/main.ts", "127.0.0.1:1"],
      environment: lab,
    },
    true,
  ],
  [
    "the program",
    {
      executable: "/cache/engine-1/node",
      arguments: ["node", "/checkout/node_modules/@pulumi/pulumi/cmd/run", "."],
      environment: lab,
    },
    true,
  ],
  [
    "a test in the same shell",
    {
      executable: "/cache/engine-1/node",
      arguments: ["node", "--test", "test/lab/cluster.test.ts"],
      environment: lab,
    },
    false,
  ],
  [
    "the shell itself",
    { executable: "/usr/bin/bash", arguments: ["bash"], environment: lab },
    false,
  ],
  [
    "an engine that works on another lab",
    {
      executable: "/cache/engine-1/pulumi",
      arguments: ["pulumi", "up"],
      environment: ["ETCD_LAB_STATE=/another"],
    },
    false,
  ],
  [
    "an engine that works on AWS",
    { executable: "/opt/pulumi/pulumi", arguments: ["pulumi", "up"], environment: ["PATH=/bin"] },
    false,
  ],
];

for (const [name, facts, expected] of cases) {
  test(`${name} is ${expected ? "" : "not "}ended by make down`, () => {
    assert.equal(isOfPulumi({ pid: 1, ...facts }, state, cache), expected);
  });
}
