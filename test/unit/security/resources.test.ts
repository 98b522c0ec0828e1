import { resourceControls } from "#security/controls/resources";
import { Egress, type EtcdClusterArgs } from "../../../components";
import { recordCluster } from "../../support/cluster";

jest.mock("../../../components/machineFiles", () => ({
  ...jest.requireActual<object>("../../../components/machineFiles"),
  agentArtifact: () => ({ kind: "file", path: "/agent.tar.gz", sha256: "a".repeat(64) }),
}));

const programs: Readonly<Record<string, Partial<EtcdClusterArgs>>> = {
  "the default cluster": {},
  "without a way out, five members, for clients by address": {
    egress: Egress.vpcEndpoints,
    size: 5,
    clientCidrs: ["10.7.0.0/16"],
  },
};

describe.each(Object.entries(programs))("%s", (_, args) => {
  let declared: Awaited<ReturnType<typeof recordCluster>>["resources"] = [];
  beforeAll(async () => {
    declared = (await recordCluster(args)).resources;
  });

  it.each(resourceControls.map((control) => [control.id, control] as const))(
    "%s",
    (__, control) => {
      expect(control.check(declared)).toEqual([]);
    },
  );

  const mutants = resourceControls.flatMap((control) =>
    Object.entries(control.mutants).map(
      ([what, mutant]) => [control.id, what, control, mutant] as const,
    ),
  );
  it.each(mutants)("%s notices: %s", (__, ___, control, mutant) => {
    expect(control.check(mutant(declared))).not.toEqual([]);
  });
});

it("every control has a mutant, and a name of its own", () => {
  const ids = resourceControls.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  expect(resourceControls.filter(({ mutants }) => Object.keys(mutants).length === 0)).toEqual([]);
});
