import { changeOf } from "../../../scripts/agent/converge";
import { parseClusterVersion } from "../../../scripts/agent/etcdctl";
import { wrongMachine } from "../../../scripts/agent/leave";
import { successor } from "../../../scripts/agent/successor";
import { config } from "./config";

jest.mock("../../../scripts/agent/etcd", () => ({}));

const machine = {
  imageId: "ami-0123456789abcdef0",
  instanceType: "m7i.large",
  userDataSha256: "d".repeat(64),
};

describe("the machine that is wanted", () => {
  test("it is this one", () => {
    expect(wrongMachine(machine, { ...machine })).toBeUndefined();
  });

  test("an older document wants none in particular", () => {
    expect(wrongMachine(machine, undefined)).toBeUndefined();
  });

  test("every difference is named", () => {
    const wanted = {
      imageId: "ami-0fedcba9876543210",
      instanceType: "m7i.xlarge",
      userDataSha256: "e".repeat(64),
    };
    expect(wrongMachine(machine, wanted)).toBe(
      "instance type m7i.large to m7i.xlarge, image ami-0123456789abcdef0 to ami-0fedcba9876543210, another boot script",
    );
  });
});

describe("what a change means", () => {
  const old = config();
  const none = {
    restart: false,
    version: { from: "3.6.14", to: "3.6.14" },
    moreQuota: false,
    grows: false,
    certificates: false,
  };
  const { etcd } = old.artifacts;
  const quota = (gib: number) => ({
    environment: { ...old.etcd.environment, ETCD_QUOTA_BACKEND_BYTES: String(gib * 2 ** 30) },
  });

  test("another agent, runtime, certificate or volume size restarts nothing", () => {
    const artifacts = { node: { sha256: "1".repeat(64) }, agent: { sha256: "2".repeat(64) }, etcd };
    const certificates = { ...old.certificates, server: `${old.certificates.server}\n` };
    const volume = { ...old.volume, sizeGiB: old.volume.sizeGiB + 1 };
    expect(changeOf(old, { ...old, artifacts, certificates, volume }, undefined)).toEqual({
      ...none,
      grows: true,
      certificates: true,
    });
  });

  test("a setting restarts; a larger quota is the cure of NOSPACE, a smaller one is not", () => {
    const [small, large] = [
      { ...old, etcd: quota(1) },
      { ...old, etcd: quota(4) },
    ];
    expect(changeOf(small, large, undefined)).toEqual({ ...none, restart: true, moreQuota: true });
    expect(changeOf(large, small, undefined)).toEqual({ ...none, restart: true });
  });

  test("another version, and another build of the same", () => {
    const with_ = (version: string, sha256: string) => ({
      ...old,
      artifacts: { ...old.artifacts, etcd: { version, sha256 } },
    });
    expect(changeOf(old, with_("3.7.3", "3".repeat(64)), undefined)).toEqual({
      ...none,
      restart: true,
      version: { from: "3.6.14", to: "3.7.3" },
    });
    expect(changeOf(old, with_("3.6.14", "3".repeat(64)), undefined).restart).toBe(true);
  });

  test("another machine, alone", () => {
    expect(changeOf(old, old, "image")).toEqual({ ...none, machine: "image" });
  });
});

describe("what etcd says of versions", () => {
  const page = (version: string) =>
    JSON.stringify({ etcdserver: "3.7.3", etcdcluster: version, storage: "3.6.0" });
  const status = (fields: object) => JSON.stringify([{ Endpoint: "x", Status: fields }]);

  test("3.5 knows nothing of its database's, nor of downgrades", () => {
    expect(parseClusterVersion(page("3.5.0"), status({ version: "3.5.35" }))).toEqual({
      version: "3.5.0",
      storage: undefined,
      downgrade: undefined,
    });
  });

  test("3.6 and 3.7, as they are and on their way down", () => {
    const calm = { storageVersion: "3.7.0", downgradeInfo: {} };
    const down = {
      storageVersion: "3.6.0",
      downgradeInfo: { enabled: true, targetVersion: "3.6.0" },
    };
    expect(parseClusterVersion(page("3.7.0"), status(calm))).toEqual({
      version: "3.7.0",
      storage: "3.7.0",
      downgrade: undefined,
    });
    expect(parseClusterVersion(page("3.6.0"), status(down))).toEqual({
      version: "3.6.0",
      storage: "3.6.0",
      downgrade: "3.6",
    });
  });

  test("no version yet", () => {
    expect(() => parseClusterVersion(page("not_decided"), status({}))).toThrow(
      /does not say which/,
    );
  });
});

test.each([1, 3, 5, 7])(
  "%d members: a roll changes the leader twice at most, whoever leads",
  (size) => {
    const roster = Array.from({ length: size }, (_, index) => ({ name: `m${index + 1}` }));
    const members = roster.map(({ name }) => ({ id: `id-${name}`, name, isLearner: false }));
    for (const first of members) {
      let leader = first.id;
      let changes = 0;
      for (const { name } of roster) {
        if (leader === `id-${name}`) {
          leader = successor(name, roster, members) ?? leader;
          changes += leader === `id-${name}` ? 0 : 1;
        }
      }
      expect(changes).toBeLessThanOrEqual(2);
    }
  },
);
