import { readFileSync } from "node:fs";
import { join } from "node:path";

import { dataDirectory, volumeMount } from "../../../components/plan/machinePaths";
import { paths } from "../../../scripts/agent/paths";

/** Settings of a unit, by section and name; a name may stand several times. */
function unit(name: string): Map<string, string[]> {
  const text = readFileSync(join(__dirname, "../../../scripts/systemd", name), "utf8");
  const settings = new Map<string, string[]>();
  let section = "";
  for (const line of text.split("\n")) {
    const [, heading] = /^\[(\w+)\]$/.exec(line) ?? [];
    const [, key, value] = /^(\w+)=(.*)$/.exec(line) ?? [];
    section = heading ?? section;
    if (key !== undefined && value !== undefined) {
      const place = `${section}.${key}`;
      settings.set(place, [...(settings.get(place) ?? []), value]);
    }
  }
  return settings;
}

describe("etcd.service", () => {
  const etcd = unit("etcd.service");

  it("starts on the volume or not at all, and ends with it", () => {
    const mount = `${volumeMount.slice(1).replaceAll("/", "-")}.mount`;
    expect(etcd.get("Unit.BindsTo")).toEqual([mount]);
    expect(etcd.get("Unit.After")?.[0]?.split(" ")).toContain(mount);
    expect(etcd.get("Unit.ConditionPathIsMountPoint")).toEqual([volumeMount]);
    expect(etcd.get("Service.ReadWritePaths")).toEqual([volumeMount]);
    expect(dataDirectory.startsWith(`${volumeMount}/`)).toBe(true);
  });

  it("starts only with the agent's permit, and never while it is held", () => {
    expect(etcd.get("Unit.ConditionPathExists")).toEqual([paths.permit, `!${paths.held}`]);
    // Memory, not disk: a reboot takes the permit away.
    expect(paths.permit).toMatch(/^\/run\//);
    // Nothing starts it at boot but the agent.
    expect(etcd.has("Install.WantedBy")).toBe(false);
  });

  it("has the time to hand leadership over, and comes back for ever", () => {
    expect(Number(etcd.get("Service.TimeoutStopSec")?.[0])).toBeGreaterThanOrEqual(10);
    expect(etcd.get("Service.TimeoutStartSec")).toEqual(["infinity"]);
    expect(etcd.get("Service.Restart")).toEqual(["always"]);
    expect(etcd.get("Unit.StartLimitIntervalSec")).toEqual(["0"]);
  });

  it("is not root and cannot become it", () => {
    expect(etcd.get("Service.User")).toEqual(["etcd"]);
    expect(etcd.get("Service.CapabilityBoundingSet")).toEqual([""]);
    expect(etcd.get("Service.NoNewPrivileges")).toEqual(["yes"]);
  });

  it("reads the settings that the agent writes", () => {
    expect(etcd.get("Service.EnvironmentFile")).toEqual([paths.etcdEnvironment]);
  });
});

describe("agent-boot.service", () => {
  const agent = unit("agent-boot.service");

  it("has no mount namespace: what it mounts is for etcd", () => {
    for (const key of ["PrivateTmp", "ProtectHome", "ProtectSystem", "PrivateDevices"]) {
      expect(agent.has(`Service.${key}`)).toBe(false);
    }
  });

  it("takes neither etcd nor the permit with it when it ends", () => {
    expect(agent.get("Service.RuntimeDirectoryPreserve")).toEqual(["yes"]);
    expect(unit("etcd.service").has("Unit.Requires")).toBe(false);
  });

  it("starts with every boot and again after every end", () => {
    expect(agent.get("Install.WantedBy")).toEqual(["multi-user.target"]);
    expect(agent.get("Service.Restart")).toEqual(["always"]);
  });
});

describe("etcd-upkeep", () => {
  const service = unit("etcd-upkeep.service");

  it("runs and ends, whenever the agent starts it", () => {
    expect(service.has("Install.WantedBy")).toBe(false);
    expect(service.get("Service.Type")).toEqual(["oneshot"]);
    expect(service.get("Service.ExecStart")).toEqual(["/usr/local/bin/etcd-agent upkeep"]);
  });

  it("has nothing to do with the life of etcd, and stands behind it", () => {
    const related = ["Requires", "BindsTo", "PartOf", "Wants", "Conflicts", "OnFailure", "Upholds"];
    for (const key of related) {
      expect(service.has(`Unit.${key}`)).toBe(false);
    }
    const etcd = unit("etcd.service");
    expect([...etcd.values()].flat().some((value) => value.includes("upkeep"))).toBe(false);
    expect(Number(service.get("Service.CPUWeight")?.[0])).toBeLessThan(100);
    expect(Number(service.get("Service.IOWeight")?.[0])).toBeLessThan(100);
    expect(Number(service.get("Service.OOMScoreAdjust")?.[0])).toBeGreaterThan(0);
  });
});
