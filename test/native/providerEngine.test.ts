import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import {
  DescribeAutoScalingGroupsCommand,
  type AutoScalingGroup,
} from "@aws-sdk/client-auto-scaling";
import { execa } from "execa";

import { aws } from "../../lab/providers/aws/provider.ts";
import { command } from "../../lab/providers/command/provider.ts";
import { tls } from "../../lab/providers/tls/provider.ts";
import { ensureEngine, repository } from "../../lab/toolchain/engine.ts";
import { clientsOf, eventually, region, startTestLab, type TestLab } from "./frontSupport.ts";
import { startSshd, type Sshd } from "./providerSshd.ts";

/** The three providers as plugins of the real engine, over the life of a small stack. */

let lab: TestLab;
let sshd: Sshd;
let folder: string;
let env: Record<string, string>;
before(async () => {
  const engine = await ensureEngine(() => undefined);
  lab = await startTestLab();
  sshd = await startSshd();
  folder = mkdtempSync(join(tmpdir(), "etcd-cluster-engine-"));
  installPlugins(join(folder, "home", "plugins"));
  mkdirSync(join(folder, "state"));
  env = {
    PATH: `${engine}:${process.env["PATH"] ?? ""}`,
    HOME: folder,
    PULUMI_HOME: join(folder, "home"),
    PULUMI_BACKEND_URL: `file://${join(folder, "state")}`,
    PULUMI_CONFIG_PASSPHRASE: "test",
    PULUMI_IGNORE_AMBIENT_PLUGINS: "true",
    PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
    PULUMI_SKIP_UPDATE_CHECK: "true",
    AWS_ENDPOINT_URL: lab.lab.endpoint,
    AWS_REGION: region,
    SSH_PORT: String(sshd.port),
    SSH_USER: sshd.user,
    SSH_KEY: sshd.privateKey,
  };
});
after(async () => {
  sshd.stop();
  await lab.stop();
  rmSync(folder, { recursive: true });
});

function installPlugins(plugins: string): void {
  const node = join(repository, "node_modules", ".bin", "node");
  for (const { name, version } of [aws, command, tls]) {
    const plugin = join(plugins, `resource-${name}-v${version}`);
    mkdirSync(plugin, { recursive: true });
    const file = join(plugin, `pulumi-resource-${name}`);
    const main = join(repository, "lab", "providers", name, "main.ts");
    writeFileSync(
      file,
      `#!/bin/sh\nexec '${node}' --disable-warning=ExperimentalWarning '${main}' "$@"\n`,
    );
    chmodSync(file, 0o755);
  }
}

const dependencies = ["aws", "command", "tls", "pulumi"];

/** A project of its own with this program. */
function project(name: string, program: string): string {
  const place = join(folder, name);
  mkdirSync(place);
  symlinkSync(join(repository, "node_modules"), join(place, "node_modules"));
  const runtime = { name: "nodejs", options: { typescript: false } };
  writeFileSync(join(place, "Pulumi.yaml"), JSON.stringify({ name, runtime }));
  const all = Object.fromEntries(dependencies.map((one) => [`@pulumi/${one}`, "*"]));
  writeFileSync(
    join(place, "package.json"),
    JSON.stringify({ name, main: "index.js", dependencies: all }),
  );
  writeFileSync(join(place, "index.js"), program);
  return place;
}

async function pulumi(cwd: string, args: string[], extra: Record<string, string> = {}) {
  const result = await execa("pulumi", [...args, "--non-interactive"], {
    cwd,
    env: { ...env, ...extra },
    extendEnv: false,
    all: true,
    reject: false,
  });
  return { failed: result.exitCode !== 0, said: result.all };
}

async function succeed(cwd: string, args: string[], extra?: Record<string, string>) {
  const { failed, said } = await pulumi(cwd, args, extra);
  assert.ok(!failed, said);
  return said;
}

const small = `
const aws = require("@pulumi/aws");
const command = require("@pulumi/command");
const pulumi = require("@pulumi/pulumi");
const tls = require("@pulumi/tls");

const key = new tls.PrivateKey("key", { algorithm: "ED25519" });
const vpc = new aws.ec2.Vpc("net", { cidrBlock: "10.42.0.0/16", tags: { Name: process.env.NAME ?? "first" } });
const parameter = new aws.ssm.Parameter("key", { type: "SecureString", value: key.privateKeyOpenssh });
const run = new command.remote.Command("run", {
  connection: {
    host: "127.0.0.1",
    port: Number(process.env.SSH_PORT),
    user: process.env.SSH_USER,
    privateKey: process.env.SSH_KEY,
  },
  create: pulumi.interpolate\`echo \${vpc.id}\`,
  triggers: [process.env.TRIGGER ?? "1"],
});
exports.vpcId = vpc.id;
exports.said = run.stdout;
exports.version = parameter.version;
`;

/** Commands in a chain, as those are that bring one member after another to its desired state. */
const chain = `
const { remote } = require("@pulumi/command");
const connection = {
  host: "127.0.0.1",
  port: Number(process.env.SSH_PORT),
  user: process.env.SSH_USER,
  privateKey: process.env.SSH_KEY,
};
const wish = process.env.WISH;
const turn = (name, create, before) =>
  new remote.Command(name, { connection, create, triggers: [wish] }, { dependsOn: before });
const first = turn("first", "echo " + wish, []);
const second = turn("second", process.env.REFUSES ? "echo not now >&2; false" : "echo " + wish, [first]);
const third = turn("third", "echo " + wish, [second]);
exports.said = [first.stdout, second.stdout, third.stdout];
`;

/** There is no such image, so the group waits for its machine without end. */
const stuck = `
const aws = require("@pulumi/aws");
const vpc = new aws.ec2.Vpc("never", { cidrBlock: "10.43.0.0/16" });
const subnet = new aws.ec2.Subnet("never", { vpcId: vpc.id, availabilityZone: "${region}a", cidrBlock: "10.43.0.0/20" });
const template = new aws.ec2.LaunchTemplate("never", { instanceType: "t3.small", imageId: "ami-0123456789abcdef0" });
new aws.autoscaling.Group("never", {
  name: "never",
  minSize: 1,
  maxSize: 1,
  vpcZoneIdentifiers: [subnet.id],
  launchTemplate: { id: template.id, version: template.latestVersion.apply(String) },
});
`;

/** How many plugins run for these tests: they are known by their environment. */
function plugins(): number {
  const ours = (pid: string): boolean => {
    try {
      const environment = readFileSync(join("/proc", pid, "environ"), "utf8");
      const program = readFileSync(join("/proc", pid, "cmdline"), "utf8");
      return environment.includes(join(folder, "home")) && program.includes("lab/providers");
    } catch {
      return false;
    }
  };
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name) && ours(name)).length;
}

async function groupNamed(name: string): Promise<AutoScalingGroup | undefined> {
  const { autoscaling } = clientsOf(lab.lab.endpoint);
  const { AutoScalingGroups = [] } = await autoscaling.send(
    new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [name] }),
  );
  return AutoScalingGroups[0];
}

void describe("the providers under the real engine", () => {
  void test("up, no change, change, replacement, refresh, destroy", async () => {
    const place = project("small", small);
    await succeed(place, ["stack", "init", "test"]);
    const preview = await succeed(place, ["preview"]);
    assert.match(preview, /5 to create/);
    await succeed(place, ["up", "--yes", "--skip-preview"]);
    const outputs = JSON.parse(await succeed(place, ["stack", "output", "--json"])) as {
      vpcId: string;
      said: string;
    };
    assert.match(outputs.vpcId, /^vpc-/);
    assert.equal(outputs.said, outputs.vpcId);
    await succeed(place, ["preview", "--expect-no-changes"]);

    const renamed = await succeed(place, ["up", "--yes", "--skip-preview"], { NAME: "second" });
    assert.match(renamed, /1 updated/);
    const rerun = { NAME: "second", TRIGGER: "2" };
    assert.match(await succeed(place, ["up", "--yes", "--skip-preview"], rerun), /1 replaced/);
    await succeed(place, ["refresh", "--yes", "--expect-no-changes"]);

    const state = await succeed(place, ["stack", "export"]);
    assert.doesNotMatch(state, /PRIVATE KEY/);
    await succeed(place, ["destroy", "--yes"]);
    assert.equal((await succeed(place, ["stack", "export"])).includes("vpc-"), false);
  });

  void test("an unknown argument fails the preview and is named", async () => {
    const place = project(
      "unknown",
      `new (require("@pulumi/aws").ec2.Vpc)("net", { cidrBlock: "10.0.0.0/16", ipv6CidrBlock: "x" });`,
    );
    await succeed(place, ["stack", "init", "test"]);
    const { failed, said } = await pulumi(place, ["preview"]);
    assert.ok(failed);
    assert.match(said, /aws:ec2\/vpc:Vpc: argument ipv6CidrBlock is not known to the lab/);
  });

  void test("who comes after a member that refuses keeps what it has, also with --continue-on-error", async () => {
    const place = project("chain", chain);
    await succeed(place, ["stack", "init", "test"]);
    await succeed(place, ["up", "--yes", "--skip-preview"], { WISH: "old" });
    const up = ["up", "--yes", "--skip-preview", "--continue-on-error"];
    const refused = await pulumi(place, up, { WISH: "new", REFUSES: "1" });
    assert.ok(refused.failed);
    assert.match(refused.said, /not now/);
    const state = JSON.parse(await succeed(place, ["stack", "export"])) as {
      deployment: { resources: { urn: string; delete?: boolean; outputs?: { stdout?: string } }[] };
    };
    const said = (name: string): (string | undefined)[] =>
      state.deployment.resources
        // One that was replaced stays until everything went well.
        .filter((each) => each.urn.endsWith(`:Command::${name}`) && each.delete !== true)
        .map(({ outputs }) => outputs?.stdout);
    assert.deepEqual([said("first"), said("second"), said("third")], [["new"], ["old"], ["old"]]);
    await succeed(place, up, { WISH: "new" });
    const outputs = JSON.parse(await succeed(place, ["stack", "output", "--json"])) as unknown;
    assert.deepEqual(outputs, { said: ["new", "new", "new"] });
  });

  void test("a create whose engine is killed leaves an orphan, and no plugin", async () => {
    const place = project("stuck", stuck);
    await succeed(place, ["stack", "init", "test"]);
    const up = spawn("pulumi", ["up", "--yes", "--skip-preview", "--non-interactive"], {
      cwd: place,
      env,
      stdio: "ignore",
    });
    const ended = new Promise((resolve) => up.once("exit", resolve));
    await eventually(() => groupNamed("never"), 60);
    assert.ok(plugins() > 0);
    up.kill("SIGKILL");
    await ended;
    const exported = await succeed(place, ["stack", "export"]);
    assert.match(exported, /"pending_operations"/);
    assert.ok((await groupNamed("never")) !== undefined, "the group outlives the engine");
    await eventually(() => (plugins() === 0 ? true : undefined));
    const again = await pulumi(place, ["up", "--yes", "--skip-preview"]);
    assert.ok(again.failed);
    assert.match(again.said, /the stack is currently locked|AlreadyExists/);
  });
});
