import { readFileSync } from "node:fs";
import { join } from "node:path";

import { machineControls } from "#security/controls/machine";
import { type MachineFacts, readFacts } from "#security/controls/machineFacts";
import { etcdEnvironment } from "../../../components/plan/etcdEnvironment";

/** What a member's machine said in the lab, and etcd's settings as they are rendered now. */
const recorded = readFacts(
  readFileSync(join(__dirname, "../../security/golden/machine.txt"), "utf8"),
  "10.42.0.5",
);
const rendered = etcdEnvironment({
  version: "3.6.14",
  member: "m1",
  address: recorded.address,
  backendQuotaGiB: 2,
  grpcGateway: false,
});
const facts: MachineFacts = { ...recorded, etcd: { USER: "etcd", ...rendered } };

it.each(machineControls.map((control) => [control.id, control] as const))("%s", (_, control) => {
  expect(control.check(facts)).toEqual([]);
});

const mutants = machineControls.flatMap((control) =>
  Object.entries(control.mutants).map(
    ([what, mutant]) => [control.id, what, control, mutant] as const,
  ),
);
it.each(mutants)("%s notices: %s", (_, __, control, mutant) => {
  expect(control.check(mutant(facts))).not.toEqual([]);
});

it("every control has a mutant, and a name of its own", () => {
  const ids = machineControls.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  expect(machineControls.filter(({ mutants: each }) => Object.keys(each).length === 0)).toEqual([]);
});

it("a machine that says nothing of something is an error", () => {
  expect(() => readFacts("== modes\n700 etcd:etcd /x\n", "10.0.0.1")).toThrow(
    /says nothing of etcd/,
  );
});
