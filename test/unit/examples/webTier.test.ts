import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import * as pulumi from "@pulumi/pulumi";

import { deploy } from "../../../examples/ha-web-app/commands";
import { userData } from "../../../examples/ha-web-app/userData";
import { WebTier } from "../../../examples/ha-web-app/webTier";
import { answers, outputs } from "../../support/awsMocks";
import { record, type Recording } from "../../support/recordingMocks";

const zones = ["eu-central-1a", "eu-central-1b"];
const secret = "what nobody else knows";

let folder: string;
let tier: Recording<WebTier>;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "etcd-web-tier-"));
  const releaseFile = join(folder, "release.tar.gz");
  writeFileSync(releaseFile, "release");
  tier = await record(
    () =>
      new WebTier("web", {
        ...{ region: "eu-central-1", instanceType: "t3.small", vpcId: "vpc-1", tags: {} },
        clientCidrs: ["10.43.0.0/16"],
        subnetIds: Object.fromEntries(zones.map((zone) => [zone, `subnet-${zone}`])),
        joins: ["sg-etcd", "sg-database"],
        bastion: {
          ...{ host: "203.0.113.10", hostKey: "ssh-ed25519 BASTION", keyName: "operators" },
          ...{ securityGroupId: "sg-bastion", privateKey: pulumi.secret("the operators' key") },
        },
        releaseFile,
        settings: (machine) => ({
          ...{ machine, port: 8080, adminToken: secret, requestSeconds: 10 },
          etcd: { endpoints: ["https://10.43.1.10:2379"], lockSeconds: 10 },
          database: {
            ...{ hosts: ["10.43.1.20"], port: 5432, name: "app", user: "app", password: secret },
          },
        }),
        certificates: pulumi.secret({ ca: "CA", certificate: "CERTIFICATE", key: "KEY" }),
      }),
    {
      ...outputs,
      "command:remote:CopyToRemote": () => ({}),
      "aws:iam/role:Role": (name) => ({ name }),
      "aws:iam/instanceProfile:InstanceProfile": (name) => ({ name }),
      "command:remote:Command": () => ({ stdout: "", stderr: "" }),
    },
    answers,
  );
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

describe("a deployment", () => {
  const command = (zone: string) => tier.find("command:remote:Command", `web-${zone}`);

  test("goes from one machine to the next, and to none before it has the release", () => {
    const [first = "", second = ""] = zones.map((zone) => `command:remote:Command web-${zone}`);
    expect(command("eu-central-1a").typedDependencies).not.toContain(second);
    expect(command("eu-central-1b").typedDependencies).toContain(first);
    for (const zone of zones) {
      expect(command(zone).typedDependencies).toContain(`command:remote:CopyToRemote web-${zone}`);
    }
  });

  test("what a machine is told is a secret; the command's text and user data hold none", () => {
    for (const zone of zones) {
      const { inputs, secretInputs } = command(zone);
      expect(secretInputs).toContain("stdin");
      const order = JSON.parse(String(inputs["stdin"])) as { settings: { machine: string } };
      expect(order.settings.machine).toBe(zone);
      expect(inputs["create"]).not.toContain(secret);
      const machine = tier.find("aws:ec2/instance:Instance", `web-${zone}`);
      const text = Buffer.from(String(machine.inputs["userDataBase64"]), "base64").toString();
      expect(text).not.toMatch(/PRIVATE KEY|what nobody/);
      expect(text).toContain(`parameter='/ha-web-app/test/web-${zone}/ssh-host-key'`);
    }
  });

  test("host keys are pinned, on the machine and on the bastion", () => {
    for (const zone of zones) {
      for (const type of ["command:remote:Command", "command:remote:CopyToRemote"]) {
        const connection = tier.find(type, `web-${zone}`).inputs["connection"] as {
          hostKey: string;
          proxy: { hostKey: string };
        };
        const own = Buffer.from(`web-${zone}-ssh-host`).toString("base64");
        expect(connection.hostKey).toBe(`ssh-ed25519 ${own}`);
        expect(connection.proxy.hostKey).toBe("ssh-ed25519 BASTION");
      }
    }
  });

  test("nothing that an ordinary run changes stops machines, of which there would be two at once", () => {
    for (const zone of zones) {
      const { ignoreChanges } = tier.find("aws:ec2/instance:Instance", `web-${zone}`);
      expect(ignoreChanges).toEqual(["ami", "instanceType", "userDataBase64"]);
    }
  });

  test("another machine is deployed to; its address stays", () => {
    for (const zone of zones) {
      expect(command(zone).inputs["triggers"]).toEqual([`web-${zone}-id`]);
      const machine = tier.find("aws:ec2/instance:Instance", `web-${zone}`);
      expect(machine.deleteBeforeReplace).toBe(true);
      expect(machine.inputs["primaryNetworkInterface"]).toEqual({
        networkInterfaceId: `web-${zone}-id`,
      });
    }
  });
});

test("a machine's role: its own secret, and targets of its own group", () => {
  const policy = tier.find("aws:iam/rolePolicy:RolePolicy", "web-eu-central-1a").inputs["policy"];
  const { Statement } = JSON.parse(String(policy)) as {
    Statement: { Action: string | string[]; Resource: string }[];
  };
  expect(Statement.map(({ Action }) => Action)).toEqual([
    "ssm:GetParameter",
    ["elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:RegisterTargets"],
    "elasticloadbalancing:DescribeTargetHealth",
  ]);
  expect(Statement.slice(0, 2).every(({ Resource }) => Resource !== "*")).toBe(true);
});

test("nobody is let in from everywhere, and to machines only balancer and bastion", () => {
  const rules = tier.all("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule");
  const told = rules.map(({ inputs }) =>
    [
      ...[inputs["securityGroupId"], inputs["fromPort"]],
      inputs["cidrIpv4"] ?? inputs["referencedSecurityGroupId"],
    ].join(" "),
  );
  expect(told.sort()).toEqual([
    "web-balancer-id 80 10.43.0.0/16",
    "web-balancer-id 80 sg-bastion",
    "web-machines-id 22 sg-bastion",
    "web-machines-id 80 web-balancer-id",
  ]);
});

test("texts refuse what does not belong into a shell", () => {
  expect(() => deploy("$(reboot)")).toThrow('"$(reboot)" is no SHA-256');
  expect(() => userData("a='@A@'", { A: "x'; reboot" })).toThrow("cannot stand for @A@");
  expect(() => userData("a='@A@'", {})).toThrow("undefined cannot stand for @A@");
});
