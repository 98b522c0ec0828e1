import { etcdEnvironmentFile } from "../../../scripts/agent/environment";
import { successor } from "../../../scripts/agent/successor";
import { expectGolden } from "../../support/golden";
import { config } from "./config";
import { record } from "./facts";

describe("etcd's settings on the machine", () => {
  it("as one of the first", () => {
    expectGolden(
      __dirname,
      "etcd-new.env",
      etcdEnvironmentFile(config(), record({ token: "test-new" }), "new"),
    );
  });

  it("bootstraps with initial and never with the roster", () => {
    const text = etcdEnvironmentFile(config(), record({ initial: ["m1", "m2"] }), "new");
    expect(text).toContain(
      "ETCD_INITIAL_CLUSTER=m1=https://10.42.0.10:2380,m2=https://10.42.1.10:2380\n",
    );
  });

  it("says existing, with everybody, on data that is there", () => {
    const text = etcdEnvironmentFile(config(), record({ initial: ["m1", "m2"] }), "existing");
    expect(text).toContain("ETCD_INITIAL_CLUSTER_STATE=existing\n");
    expect(text).toContain("m3=https://10.42.2.10:2380");
  });

  it("refuses a record that does not know one of its first members", () => {
    expect(() => etcdEnvironmentFile(config(), record({ initial: ["m1", "m9"] }), "new")).toThrow(
      /m9/,
    );
  });
});

describe("who gets the leadership", () => {
  const roster = ["m1", "m2", "m3", "m10"].map((name) => ({ name }));
  const members = roster.map(({ name }) => ({ id: `id-${name}`, name, isLearner: false }));

  it.each([
    ["m1", "id-m10"],
    ["m2", "id-m1"],
    ["m3", "id-m2"],
    ["m10", "id-m3"],
  ])("from %s to %s: one that had its turn, or whose turn is last", (member, to) => {
    expect(successor(member, roster, members)).toBe(to);
  });

  it("never a learner, one that leaves, or one that etcd does not list", () => {
    expect(
      successor(
        "m2",
        [{ name: "m1", leaving: true }, { name: "m2" }, { name: "m3" }, { name: "m4" }],
        [
          { id: "1", name: "m1", isLearner: false },
          { id: "3", name: "m3", isLearner: false },
          { id: "4", name: "m4", isLearner: true },
        ],
      ),
    ).toBe("3");
    expect(successor("m1", [{ name: "m1" }], [])).toBeUndefined();
  });
});
