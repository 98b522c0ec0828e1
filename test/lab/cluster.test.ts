import assert from "node:assert/strict";
import { copyFileSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  DescribeNetworkInterfacesCommand,
  EC2Client,
  ModifyNetworkInterfaceAttributeCommand,
} from "@aws-sdk/client-ec2";
import { adminCredentials, frontEndpoint, labState } from "../../lab/paths.ts";
import { ensureEtcd } from "../../lab/toolchain/artifacts.ts";
import { inventory } from "../../lab/machines/inventory.ts";
import {
  control,
  inside,
  labEnvironment,
  make,
  memberNamed,
  must,
  privateKeyPieces,
  run,
  source,
  status,
  waitFor,
  type MemberStatus,
} from "./support.ts";

/**
 * The main job, run as a person runs it: `make up`, a day with the cluster, `make down`.
 * The tests share one cluster and build on each other, in this order.
 */
let environment: Record<string, string> = {};
let members: MemberStatus[] = [];

const pki = "/etc/etcd/pki";

/** What the lab's control interface tells of a running machine. */
interface LabMachine {
  readonly leaderPid: number;
  readonly rootFolder: string;
  readonly interfaceIds: readonly string[];
  readonly publicAddress?: string;
}

/** curl from inside a machine against an etcd listener, with the certificate files given. */
function probe(member: MemberStatus, url: string, certificate: readonly string[]) {
  return inside(member.lab.pid, [
    "curl",
    "--silent",
    "--show-error",
    "--max-time",
    "5",
    ...certificate,
    url,
  ]);
}

/** etcdctl through the bastion, as `make etcdctl` offers it. */
function etcdctl(...args: string[]) {
  return run("make", ["-s", "etcdctl", `ARGS=${args.join(" ")}`], { timeoutSeconds: 60 });
}

before(async () => {
  await make("down");
});

after(async () => {
  await make("down");
});

test("make up brings three members to health and says where the time went", async (t) => {
  const outcome = await make("up", {}, 1800);
  assert.equal(outcome.code, 0, `${outcome.stdout}\n${outcome.stderr}`);
  t.diagnostic(`make up: ${outcome.seconds.toFixed(1)} s`);
  environment = await labEnvironment();
  members = await status();
  assert.deepEqual(
    members.map(({ name, zone, role, health }) => ({
      name,
      zone,
      voter: ["leader", "follower"].includes(role),
      health,
    })),
    ["a", "b", "c"].map((letter, index) => ({
      name: `m${index + 1}`,
      zone: `eu-central-1${letter}`,
      voter: true,
      health: "healthy",
    })),
  );
  assert.equal(members.filter(({ role }) => role === "leader").length, 1);
});

test("nothing is left to do: preview shows no change and a second up runs nothing again", async () => {
  const preview = await run("pulumi", ["preview", "--expect-no-changes"], {
    env: environment,
    timeoutSeconds: 120,
  });
  assert.equal(preview.code, 0, `${preview.stdout}\n${preview.stderr}`);
  const second = await run("pulumi", ["up", "--yes", "--json"], {
    env: environment,
    timeoutSeconds: 180,
  });
  assert.equal(second.code, 0, `${second.stdout}\n${second.stderr}`);
  const changes = /"resourceChanges":\s*(\{[^}]*\})/.exec(second.stdout)?.[1];
  assert.ok(changes, second.stdout.slice(-2000));
  assert.deepEqual(Object.keys(JSON.parse(changes) as object), ["same"]);
});

test("the working tree is as it was", async () => {
  const tracked = await must("git", [
    "status",
    "--porcelain",
    "--",
    "Pulumi.yaml",
    "Pulumi.dev.yaml",
    "Pulumi.prod.yaml",
  ]);
  assert.equal(tracked.stdout, "");
  assert.doesNotMatch(source("Pulumi.dev.yaml"), /encryptionsalt|secretsprovider/);
});

test("of two make up at once one works, the other says that one is running", async () => {
  const both = await Promise.all([make("up", {}, 600), make("up", {}, 600)]);
  const [worked, refused] = both.sort((one, other) => one.code - other.code);
  assert.equal(worked.code, 0, worked.stdout + worked.stderr);
  assert.notEqual(refused.code, 0, "both ran");
  assert.match(
    refused.stdout + refused.stderr,
    /make up STACK=dev is already running \(process \d+\)/,
  );
});

test("etcdctl sees three healthy, named members", async () => {
  const health = await etcdctl("endpoint", "health", "--cluster", "--write-out=json");
  assert.equal(health.code, 0, health.stderr);
  const endpoints = JSON.parse(health.stdout) as { endpoint: string; health: boolean }[];
  assert.deepEqual(
    endpoints.map(({ endpoint, health: ok }) => [endpoint, ok]).sort(),
    members.map(({ address }) => [`https://${address}:2379`, true]).sort(),
  );
  const list = await etcdctl("member", "list", "--write-out=json");
  const parsed = JSON.parse(list.stdout) as { members: { name: string; isLearner?: boolean }[] };
  assert.deepEqual(parsed.members.map(({ name }) => name).sort(), ["m1", "m2", "m3"]);
  assert.ok(parsed.members.every(({ isLearner }) => isLearner !== true));
});

test("put and get work through the load balancer, for who joined the clients' security group", async () => {
  const outputs = JSON.parse(
    (await must("pulumi", ["stack", "output", "--json", "--show-secrets"], { env: environment }))
      .stdout,
  ) as Record<
    | "loadBalancerEndpoint"
    | "caCertificate"
    | "clientCertificate"
    | "clientKey"
    | "clientSecurityGroup",
    string
  >;
  assert.match(outputs.loadBalancerEndpoint, /^https:\/\/.*\.amazonaws\.com:2379$/);
  // The bastion plays the client: it is a machine of the VPC and bears the clients' group, for its operators.
  const machines = (await control("GET", "machines")) as LabMachine[];
  const client = machines.find(({ publicAddress }) => publicAddress !== undefined);
  assert.ok(client);
  const { leaderPid: pid, interfaceIds } = client;
  const folder = join(client.rootFolder, "root");
  const etcd = join(await ensureEtcd("3.6.14", () => undefined), "etcd-v3.6.14-linux-amd64");
  copyFileSync(join(etcd, "etcdctl"), join(folder, "etcdctl"));
  writeFileSync(join(folder, "ca.crt"), outputs.caCertificate);
  writeFileSync(join(folder, "client.crt"), outputs.clientCertificate);
  writeFileSync(join(folder, "client.key"), outputs.clientKey, { mode: 0o600 });
  const asClient = (...args: string[]) =>
    inside(pid, [
      ...["/root/etcdctl", `--endpoints=${outputs.loadBalancerEndpoint}`, "--command-timeout=4s"],
      ...["--cacert=/root/ca.crt", "--cert=/root/client.crt", "--key=/root/client.key"],
      ...args,
    ]);
  const ec2 = new EC2Client({
    region: "eu-central-1",
    endpoint: frontEndpoint,
    credentials: adminCredentials,
  });
  const described = await ec2.send(
    new DescribeNetworkInterfacesCommand({ NetworkInterfaceIds: [...interfaceIds] }),
  );
  const groups = (described.NetworkInterfaces?.[0]?.Groups ?? []).map(
    ({ GroupId }) => GroupId ?? "",
  );
  const bear = (ids: string[]) =>
    ec2.send(
      new ModifyNetworkInterfaceAttributeCommand({
        NetworkInterfaceId: interfaceIds[0],
        Groups: ids,
      }),
    );
  assert.ok(groups.includes(outputs.clientSecurityGroup), groups.join(" "));
  await bear(groups.filter((id) => id !== outputs.clientSecurityGroup));
  try {
    await waitFor("the balancer to be closed to a machine outside the group", 30, async () =>
      (await asClient("put", "lab/balanced", "no")).code === 0 ? undefined : true,
    );
  } finally {
    await bear(groups);
  }
  try {
    await waitFor("a put through the balancer", 30, async () =>
      (await asClient("put", "lab/balanced", "yes")).stdout.trim() === "OK" ? true : undefined,
    );
    const get = await asClient("get", "lab/balanced", "--print-value-only");
    assert.equal(get.stdout.trim(), "yes", get.stderr);
  } finally {
    for (const name of ["ca.crt", "client.crt", "client.key"]) rmSync(join(folder, name));
  }
});

test("a client without a certificate, or with one of another authority, is refused on 2379 and 2380", async () => {
  const member = memberNamed(members, "m1");
  const address = memberNamed(members, "m2").address;
  const folder = join(member.lab.rootFolder, "tmp");
  await must("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
    ...["-subj", "/CN=intruder", "-days", "1"],
    ...["-keyout", join(folder, "intruder.key"), "-out", join(folder, "intruder.crt")],
  ]);
  const intruder = ["--cert", "/tmp/intruder.crt", "--key", "/tmp/intruder.key"];
  const ours = ["--cert", `${pki}/agent.crt`, "--key", `${pki}/agent.key`];
  // The control: the same call with the right certificate is answered.
  const allowed = await probe(member, `https://${address}:2379/version`, ["--insecure", ...ours]);
  assert.match(allowed.stdout, /"etcdserver":"3\.6\.14"/, allowed.stderr);
  for (const port of [2379, 2380]) {
    for (const certificate of [[], intruder]) {
      const refused = await probe(member, `https://${address}:${port}/version`, [
        "--insecure",
        ...certificate,
      ]);
      assert.notEqual(refused.code, 0, `${port} answered: ${refused.stdout}`);
      assert.match(refused.stderr, /alert|certificate|SSL|TLS/i);
    }
  }
  // The client authority's certificate opens no peer port.
  const crossed = await probe(member, `https://${address}:2380/version`, ["--insecure", ...ours]);
  assert.notEqual(crossed.code, 0, `2380 answered a client certificate: ${crossed.stdout}`);
});

test("machines are separate: own PID 1, own disk, own root", async () => {
  const pids = new Set(members.map(({ lab }) => lab.pid));
  assert.equal(pids.size, 3);
  const disks = new Set(members.map(({ lab }) => lab.diskFile));
  assert.equal(disks.size, 3);
  for (const member of members) {
    const init = await inside(member.lab.pid, ["cat", "/proc/1/comm"]);
    assert.equal(init.stdout.trim(), "systemd");
    const mount = await inside(member.lab.pid, [
      "findmnt",
      "--noheadings",
      "--output",
      "FSTYPE",
      "/var/lib/etcd",
    ]);
    assert.equal(mount.stdout.trim(), "ext4");
    const backing = readFileSync(
      join("/proc", String(member.lab.pid), "root/etc/etcd-cluster/boot.env"),
      "utf8",
    );
    assert.match(backing, new RegExp(`MEMBER=["']?${member.name}\\b`));
  }
});

test("SSH reaches a member through the bastion only", async () => {
  const viaBastion = await run("make", ["-s", "ssh", "MEMBER=m1", "ARGS=hostname"], {
    timeoutSeconds: 60,
  });
  assert.equal(viaBastion.code, 0, viaBastion.stderr);
  const target = memberNamed(members, "m1").address;
  const fromHost = await run("bash", ["-c", 'exec 3<>"/dev/tcp/$1/22"', "bash", target], {
    timeoutSeconds: 5,
  });
  assert.notEqual(fromHost.code, 0);
  const neighbour = memberNamed(members, "m2").lab.pid;
  const fromNeighbour = await inside(
    neighbour,
    ["timeout", "4", "bash", "-c", 'exec 3<>"/dev/tcp/$1/22"', "bash", target],
    { timeoutSeconds: 10 },
  );
  // 124 is timeout's own code: dropped, not refused.
  assert.equal(fromNeighbour.code, 124, fromNeighbour.stderr);
  const peerPort = await inside(neighbour, [
    "timeout",
    "4",
    "bash",
    "-c",
    'exec 3<>"/dev/tcp/$1/2380"',
    "bash",
    target,
  ]);
  assert.equal(peerPort.code, 0, peerPort.stderr);
});

/** A signed SSM call from inside a machine with its own role, credentials on stdin. */
async function readParameter(member: MemberStatus, name: string) {
  const script = [
    "set -eu",
    "md=http://169.254.169.254/latest",
    'token=$(curl -sf -X PUT -H "X-aws-ec2-metadata-token-ttl-seconds: 60" $md/api/token)',
    'get() { curl -sf -H "X-aws-ec2-metadata-token: $token" "$md/$1"; }',
    "role=$(get meta-data/iam/security-credentials/)",
    "get meta-data/iam/security-credentials/$role > /run/probe.json",
    "field() { python3 -c 'import json,sys; print(json.load(open(\"/run/probe.json\"))[sys.argv[1]])' $1; }",
    "trap 'rm -f /run/probe.json' EXIT",
    'printf "user = \\"%s:%s\\"\\nheader = \\"x-amz-security-token: %s\\"\\n" "$(field AccessKeyId)" "$(field SecretAccessKey)" "$(field Token)" |',
    'curl -s -K - --aws-sigv4 aws:amz:eu-central-1:ssm -H \'X-Amz-Target: AmazonSSM.GetParameter\' -H \'Content-Type: application/x-amz-json-1.1\' -d "{\\"Name\\":\\"$1\\",\\"WithDecryption\\":true}" https://ssm.eu-central-1.amazonaws.com/',
  ].join("\n");
  return inside(member.lab.pid, ["bash", "-c", script, "bash", name]);
}

test("a member's role reads its own secrets and no other member's", async () => {
  const outputs = JSON.parse(
    (await must("pulumi", ["stack", "export"], { env: environment })).stdout,
  ) as { deployment: { resources: { type: string; outputs?: { name?: string } }[] } };
  const names = outputs.deployment.resources
    .filter(({ type }) => type === "aws:ssm/parameter:Parameter")
    .map(({ outputs: values }) => values?.name ?? "");
  const keyOf = (member: string) =>
    names.find((name) => name.includes(`/${member}/`) && name.endsWith("server-key"));
  const own = keyOf("m1");
  const other = keyOf("m2");
  assert.ok(own !== undefined && other !== undefined, names.join(" "));
  const member = memberNamed(members, "m1");
  assert.match((await readParameter(member, own)).stdout, /PRIVATE KEY/);
  const denied = await readParameter(member, other);
  assert.match(denied.stdout, /AccessDenied/);
  assert.doesNotMatch(denied.stdout, /PRIVATE KEY/);
});

test("verify fails within its bound and names the member whose etcd hangs, and why", async () => {
  const healthy = await make("verify", {}, 120);
  assert.equal(healthy.code, 0, healthy.stdout + healthy.stderr);
  const follower = members.find(({ role }) => role === "follower");
  assert.ok(follower);
  const found = await inside(follower.lab.pid, [
    "systemctl",
    "show",
    "--property=MainPID",
    "--value",
    "etcd.service",
  ]);
  const pid = found.stdout.trim();
  assert.match(pid, /^[1-9]\d*$/);
  await inside(follower.lab.pid, ["kill", "-STOP", pid]);
  try {
    const hung = await make("verify", {}, 120);
    assert.notEqual(hung.code, 0, hung.stdout);
    assert.match(
      hung.stdout + hung.stderr,
      new RegExp(`${follower.name}\\b.*(deadline|timed? ?out|not answer|no answer|within)`, "i"),
    );
    assert.ok(hung.seconds < 60, `verify took ${hung.seconds} s`);
  } finally {
    await inside(follower.lab.pid, ["kill", "-CONT", pid]);
  }
  await waitFor("verify to pass again", 60, async () =>
    (await make("verify", {}, 120)).code === 0 ? true : undefined,
  );
});

test("a machine that dies while nobody runs Pulumi is replaced and comes back with its data", async (t) => {
  const before_ = memberNamed(members, "m2");
  await etcdctl("put", "lab/before-the-loss", "kept");
  await control("POST", `machines/${before_.instanceId}/kill`);
  const { value: after_, seconds } = await waitFor(
    "m2 to be healthy on another machine",
    180,
    async () => {
      const now = memberNamed(await status(), "m2");
      return now.instanceId !== before_.instanceId && now.health === "healthy" ? now : undefined;
    },
  );
  t.diagnostic(`machine killed -> member healthy on its replacement: ${seconds.toFixed(1)} s`);
  assert.equal(after_.volumeId, before_.volumeId);
  assert.equal(after_.address, before_.address);
  assert.equal(after_.memberId, before_.memberId);
  const own = await inside(after_.lab.pid, [
    ...["/opt/etcd-cluster/etcd/3.6.14/etcdctl", `--endpoints=https://${after_.address}:2379`],
    ...[`--cacert=${pki}/client-ca.crt`, `--cert=${pki}/agent.crt`, `--key=${pki}/agent.key`],
    ...["get", "--consistency=s", "--print-value-only", "lab/before-the-loss"],
  ]);
  assert.equal(own.stdout.trim(), "kept", own.stderr);
  members = await status();
  const preview = await run("pulumi", ["preview", "--expect-no-changes"], {
    env: environment,
    timeoutSeconds: 120,
  });
  assert.equal(preview.code, 0, preview.stdout);
});

test("a member whose data is gone comes back as a learner and gets its vote, with the data of the others", async (t) => {
  const lost = memberNamed(await status(), "m3");
  await etcdctl("put", "lab/before-the-disk-loss", "kept");
  await inside(lost.lab.pid, [
    "sh",
    "-c",
    "systemctl stop agent-boot && systemctl stop etcd && rm -rf /var/lib/etcd/data && sync",
  ]);
  await control("POST", `machines/${lost.instanceId}/kill`);
  const { value: back, seconds } = await waitFor("m3 to vote again", 180, async () => {
    const now = memberNamed(await status(), "m3");
    return now.instanceId !== lost.instanceId && now.health === "healthy" && now.role !== "learner"
      ? now
      : undefined;
  });
  t.diagnostic(`machine and data lost -> member votes again: ${seconds.toFixed(1)} s`);
  assert.notEqual(back.memberId, lost.memberId, "an identity whose data is gone must not return");
  const verified = await make("verify", {}, 120);
  assert.equal(verified.code, 0, verified.stdout + verified.stderr);
  assert.equal(
    (await etcdctl("get", "--print-value-only", "lab/before-the-disk-loss")).stdout.trim(),
    "kept",
  );
});

test("all machines lost at once: the cluster comes back by itself, with its data and its identities", async (t) => {
  const old = await status();
  await etcdctl("put", "lab/before-the-blackout", "kept");
  await Promise.all(old.map(({ instanceId }) => control("POST", `machines/${instanceId}/kill`)));
  const { seconds } = await waitFor(
    "all members to be healthy on other machines",
    240,
    async () => {
      const now = await status();
      return now.every(
        ({ name, instanceId, health }) =>
          health === "healthy" && instanceId !== memberNamed(old, name).instanceId,
      )
        ? now
        : undefined;
    },
  );
  t.diagnostic(`all machines killed -> all members healthy: ${seconds.toFixed(1)} s`);
  members = await status();
  assert.deepEqual(
    members.map(({ memberId }) => memberId),
    old.map(({ memberId }) => memberId),
  );
  assert.equal(
    (await etcdctl("get", "--print-value-only", "lab/before-the-blackout")).stdout.trim(),
    "kept",
  );
});

/** Every regular file under a folder whose name ends in one of the endings. */
function filesUnder(folder: string, endings: readonly string[]): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && endings.some((ending) => entry.name.endsWith(ending)))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => statSync(path).size < 256 * 1024 * 1024);
}

test("no private key in plain state, process lists, logs or user data", async () => {
  const revealed = (
    await must("pulumi", ["stack", "export", "--show-secrets"], { env: environment })
  ).stdout;
  const pieces = privateKeyPieces(revealed);
  // Two authorities, per member server, peer, agent and SSH host key, the client's, the operator's SSH key.
  assert.ok(pieces.length >= 2 + 3 * 4 + 2, `only ${pieces.length} keys found in the state`);
  const places = new Map<string, string>();
  places.set(
    "stack export",
    (await must("pulumi", ["stack", "export"], { env: environment })).stdout,
  );
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      places.set(`command line of ${pid}`, readFileSync(`/proc/${pid}/cmdline`, "latin1"));
    } catch {
      // The process ended meanwhile.
    }
  }
  for (const path of filesUnder(labState, [".log", ".jsonl"]))
    places.set(path, readFileSync(path, "latin1"));
  for (const { name, lab } of members) {
    const journal = await inside(lab.pid, ["journalctl", "--no-pager"], { timeoutSeconds: 30 });
    places.set(`journal of ${name}`, journal.stdout);
    const cloudInit = await inside(lab.pid, [
      "sh",
      "-c",
      "cat /var/log/cloud-init*.log /var/lib/cloud/instance/user-data.txt",
    ]);
    places.set(`user data of ${name}`, cloudInit.stdout);
    assert.match(cloudInit.stdout, /MIME|cloud-config/, "the user data was not found");
  }
  for (const [place, text] of places) {
    for (const piece of pieces) assert.ok(!text.includes(piece), `${place} holds a private key`);
  }
});

test("lab, engine and three members together stay under 4 GiB", (t) => {
  const pids = inventory().processes;
  let kibibytes = 0;
  for (const { pid } of pids) {
    try {
      const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
      kibibytes += Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1] ?? 0);
    } catch {
      // The process ended meanwhile.
    }
  }
  t.diagnostic(`${(kibibytes / 1024).toFixed(0)} MiB in ${pids.length} processes`);
  assert.ok(kibibytes > 200 * 1024, "the lab's processes were not found");
  assert.ok(kibibytes < 4 * 1024 * 1024);
});

test("make down leaves nothing, and a second one has nothing to do", async (t) => {
  const outcome = await make("down", {}, 120);
  assert.equal(outcome.code, 0, outcome.stdout + outcome.stderr);
  t.diagnostic(`make down: ${outcome.seconds.toFixed(1)} s`);
  const left = inventory();
  for (const [kind, things] of Object.entries(left))
    assert.deepEqual(things, [], `${kind} left behind`);
  const again = await make("down", {}, 60);
  assert.equal(again.code, 0, again.stdout + again.stderr);
});
