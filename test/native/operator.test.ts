import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { completed } from "../../scripts/operator/etcdctl.ts";
import { splitOwn } from "../../scripts/operator/lib/main.ts";
import { explain, remoteCommand, sshConfig, Way } from "../../scripts/operator/lib/ssh.ts";
import { stackSchema, type Stack } from "../../scripts/operator/lib/stack.ts";
import { outputsFromState } from "../../scripts/operator/lib/stateOutputs.ts";
import { bytes, table } from "../../scripts/operator/lib/table.ts";
import { chosenMembers } from "../../scripts/operator/fence.ts";
import { readBackup } from "../../scripts/operator/backup.ts";
import { rowOf, statusTable } from "../../scripts/operator/status.ts";
import { disagreement, verdict } from "../../scripts/operator/verify.ts";

const hostKey = (name: string): string => `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5${name}`;

const outputs = {
  bastionHost: "203.0.113.7",
  bastionHostKey: `${hostKey("bastion")}\n`,
  members: [
    {
      name: "m1",
      zone: "eu-central-1a",
      address: "10.42.0.10",
      volumeId: "vol-01",
      groupName: "dev-m1",
    },
    {
      name: "m2",
      zone: "eu-central-1b",
      address: "10.42.1.10",
      volumeId: "vol-02",
      groupName: "dev-m2",
    },
  ],
  memberHostKeys: { m1: hostKey("m1"), m2: hostKey("m2") },
  sshPrivateKey:
    "-----BEGIN OPENSSH PRIVATE KEY-----\nnot a key\n-----END OPENSSH PRIVATE KEY-----",
  etcdVersion: "3.6.14",
};
const stack: Stack = stackSchema.parse(outputs);

describe("remoteCommand", () => {
  const nasty = [
    ["plain"],
    ["two words", ""],
    ["$(reboot)", "`id`", "; rm -rf /", "a'b\"c\\d", "*", "~", "ü\n\t", "--flag=x y"],
  ];
  for (const words of nasty) {
    test(`every word arrives as it was: ${JSON.stringify(words)}`, async () => {
      const echo = ["python3", "-c", "import json,sys;print(json.dumps(sys.argv[1:]))", ...words];
      // What sshd does with the string it is sent.
      const { stdout } = await execa("sh", ["-c", remoteCommand(echo)]);
      assert.deepEqual(JSON.parse(stdout), words);
    });
  }
  test("data is nowhere in the string but inside base64", () => {
    const command = remoteCommand(["etcdctl", "put", "k", "'; reboot; '"], { root: true });
    assert.match(command, /^sudo -n python3 -c '[^']*' [A-Za-z0-9+/=]+$/);
  });
  test("the exit code is the program's", async () => {
    const result = await execa("sh", ["-c", remoteCommand(["sh", "-c", "exit 7"])], {
      reject: false,
    });
    assert.equal(result.exitCode, 7);
  });
});

describe("the way to the machines", () => {
  test("ssh itself reads the configuration as it is meant", async () => {
    const way = new Way(stack);
    const config = join(way.folder, "config");
    const asked = async (host: string): Promise<Map<string, string>> => {
      const { stdout } = await execa("ssh", ["-G", "-F", config, host]);
      return new Map(
        stdout
          .split("\n")
          .map((line) => [line.slice(0, line.indexOf(" ")), line.slice(line.indexOf(" ") + 1)]),
      );
    };
    const member = await asked("m2");
    assert.equal(member.get("hostname"), "10.42.1.10");
    assert.equal(member.get("proxyjump"), "bastion");
    assert.equal(member.get("hostkeyalias"), "m2");
    assert.equal(member.get("user"), "admin");
    assert.equal(member.get("stricthostkeychecking"), "true");
    assert.equal(member.get("userknownhostsfile"), join(way.folder, "known_hosts"));
    assert.equal(member.get("identitiesonly"), "yes");
    assert.equal(member.get("forwardagent"), "no");
    const gate = await asked("bastion");
    assert.equal(gate.get("hostname"), "203.0.113.7");
    assert.equal(gate.get("proxyjump"), undefined);
    assert.match(readFileSync(join(way.folder, "known_hosts"), "utf8"), /^m2 ssh-ed25519 \S+m2$/m);
    assert.equal(statSync(join(way.folder, "key")).mode & 0o777, 0o600);
    assert.equal(statSync(way.folder).mode & 0o777, 0o700);
  });
  for (const ending of ["return", "throw", "SIGTERM"] as const) {
    test(`the key is gone when the script ends by ${ending}`, async () => {
      const lib = fileURLToPath(new URL("../../scripts/operator/lib/ssh.ts", import.meta.url));
      const script = `
        import { Way } from ${JSON.stringify(lib)};
        console.log(new Way(${JSON.stringify(stack)}).folder);
        if (${JSON.stringify(ending)} === "throw") throw new Error("on purpose");
        if (${JSON.stringify(ending)} === "SIGTERM") { process.kill(process.pid, "SIGTERM"); setTimeout(() => {}, 5000); }`;
      const result = await execa(process.execPath, ["--input-type=module", "-e", script], {
        reject: false,
      });
      const folder = result.stdout.trim();
      assert.match(folder, /etcd-operator-/);
      assert.equal(existsSync(folder), false);
    });
  }
  test("a host name or key that could carry syntax is refused when the stack is read", () => {
    for (const change of [
      { bastionHost: "203.0.113.7 -o ProxyCommand=reboot" },
      { bastionHost: "-oProxyCommand=reboot" },
      { bastionHostKey: "ssh-ed25519 AAAA\nm1 ssh-ed25519 BBBB" },
      { memberHostKeys: { m1: "ssh-ed25519 $(reboot)" } },
      { members: [{ ...outputs.members[0], name: "m1\n  ProxyCommand reboot" }] },
      { members: [{ ...outputs.members[0], address: "10.42.0.10\nProxyCommand reboot" }] },
      { etcdVersion: "3.6.14/../../bin" },
    ]) {
      assert.equal(
        stackSchema.safeParse({ ...outputs, ...change }).success,
        false,
        JSON.stringify(change),
      );
    }
  });
  test("the configuration holds no key", () => {
    assert.doesNotMatch(sshConfig(stack, "/tmp/x"), /PRIVATE KEY/);
  });
});

describe("etcdctl's arguments", () => {
  const addresses = ["10.42.0.10", "10.42.1.10"];
  test("endpoints and certificates are filled in", () => {
    assert.deepEqual(completed(["get", "k"], addresses), [
      "--endpoints=https://10.42.0.10:2379,https://10.42.1.10:2379",
      "--cacert=/etc/etcd/pki/client-ca.crt",
      "--cert=/etc/etcd/pki/agent.crt",
      "--key=/etc/etcd/pki/agent.key",
      "get",
      "k",
    ]);
  });
  test("what the caller gives is not given twice", () => {
    for (const given of [["--endpoints=x"], ["--endpoints", "x"]]) {
      const all = completed([...given, "get", "k"], addresses).join(" ");
      assert.equal(all.match(/--endpoints/g)?.length, 1);
    }
  });
  test("own options end where etcdctl's arguments begin", () => {
    const cases: [string[], { own: string[]; rest: string[] }][] = [
      [["--", "get", "--prefix", "/"], { own: [], rest: ["get", "--prefix", "/"] }],
      [["--member", "m2", "--", "get"], { own: ["--member", "m2"], rest: ["get"] }],
      [
        ["--member=m2", "get", "--member", "x"],
        { own: ["--member=m2"], rest: ["get", "--member", "x"] },
      ],
      [["--endpoints=x", "put"], { own: [], rest: ["--endpoints=x", "put"] }],
    ];
    for (const [args, expected] of cases) assert.deepEqual(splitOwn(args, ["--member"]), expected);
  });
});

const member = stack.members[0];
assert.ok(member);
const outcome = { code: 0, stdout: "", stderr: "", timedOut: false };

describe("status", () => {
  test("a row has what the machine says", () => {
    const said = {
      name: "m1",
      instanceId: "i-1",
      memberId: "a1",
      role: "leader",
      version: "3.6.14",
      revision: 7,
      dbSizeBytes: 20480,
      health: "healthy",
    };
    const row = rowOf(member, { ...outcome, stdout: JSON.stringify(said) });
    assert.equal(row.instanceId, "i-1");
    assert.equal(row.health, "healthy");
    assert.equal(row.volumeId, "vol-01");
    assert.match(
      statusTable([row]),
      /^m1 +eu-central-1a +10\.42\.0\.10 +i-1 +leader +3\.6\.14 +20 KiB +7 +healthy$/m,
    );
  });
  test("what a machine waits for is said below the table", () => {
    const agent = {
      state: "waiting",
      wait: "volume-elsewhere",
      reason: "vol-01 is still attached to i-2",
    };
    const said = { name: "m1", health: "etcd does not answer", agent };
    const row = rowOf(member, { ...outcome, stdout: JSON.stringify(said) });
    assert.deepEqual(row.agent, agent);
    assert.match(
      statusTable([row]),
      /^m1 is waiting \(volume-elsewhere\): vol-01 is still attached to i-2$/m,
    );
  });
  test("the last backup, the last drill and what goes wrong are said below the table, once", () => {
    const now = 10_000_000;
    const minute = 60_000;
    const upkeepOf = (age: number, changes: object = {}) => ({
      name: "m1",
      health: "healthy",
      upkeep: {
        at: now,
        problems: {},
        newest: { key: `backups/m1/${age}`, takenAt: now - age * minute },
        drill: { at: now - age * minute, ok: true, by: "m3", said: `drill ${age}` },
        ...changes,
      },
    });
    const rows = [upkeepOf(5), upkeepOf(3, { problems: { backup: "no room" } })].map((said) =>
      rowOf(member, { ...outcome, stdout: JSON.stringify(said) }),
    );
    assert.deepEqual(statusTable(rows, now).split("\n").slice(3), [
      "last backup 3 min ago: backups/m1/3",
      "last restore drill 3 min ago: drill 3",
      "m1: backup fails: no room",
    ]);
    const bad = upkeepOf(180, {
      drill: { at: now, ok: false, by: "m3", said: "it is not good" },
      budget: { at: now, said: "m2 defragmented" },
    });
    const row = rowOf(member, { ...outcome, stdout: JSON.stringify(bad) });
    assert.deepEqual(statusTable([row], now).split("\n").slice(2), [
      "last backup 3 h ago: backups/m1/180",
      "last restore drill 0 min ago: NOT WELL: it is not good",
      "m1, 0 min ago: m2 defragmented",
    ]);
  });
  test("a machine that cannot be reached has a row, and never a healthy one", () => {
    for (const bad of [
      {
        ...outcome,
        code: 255,
        stderr: "ssh: connect to host 10.42.0.10 port 22: Connection timed out",
      },
      { ...outcome, timedOut: true, code: -1 },
      { ...outcome, stdout: "not JSON" },
      { ...outcome, stdout: '{"name":"m1"}' },
    ]) {
      const row = rowOf(member, bad);
      assert.equal(row.name, "m1");
      assert.notEqual(row.health, "healthy");
      assert.equal(row.memberId, null);
    }
  });
});

describe("backup", () => {
  const taken = {
    key: `backups/m1/g000001-t0000000002-i0000000000000042-r0000000000000017-20260102T030405Z-${"a".repeat(64)}.db`,
    member: "m1",
    rank: { generation: 1, term: 2, index: 42 },
    revision: 17,
    takenAt: 1,
    sha256: "a".repeat(64),
  };
  test("what the agent took is read", () => {
    assert.deepEqual(readBackup(`${JSON.stringify(taken)}\n`), taken);
  });
  test("anything else is not printed as a key", () => {
    for (const said of ["", "{}", JSON.stringify({ ...taken, key: "backups/m1/a\u001b[2J" })]) {
      assert.throws(() => readBackup(said), /cannot be read/);
    }
  });
});

describe("verify", () => {
  const good = {
    name: "m1",
    id: "a1",
    clusterId: "c1",
    role: "leader",
    version: "3.6.14",
    revision: 7,
    dbSizeBytes: 1,
  };
  test("a good answer is a verified member", () => {
    assert.ok("verified" in verdict("m1", { ...outcome, stdout: JSON.stringify(good) }));
  });
  test("everything else is a failure with a reason", () => {
    const failures: [Partial<typeof outcome>, RegExp][] = [
      [
        { code: 1, stderr: "progress\nm2: etcd at 10.42.1.10 does not answer: deadline" },
        /^m2: etcd at .* does not answer/,
      ],
      [{ code: 255, stderr: "Host key verification failed." }, /SSH: Host key verification failed/],
      [{ timedOut: true, code: -1 }, /did not answer in time/],
      [{ stdout: "{}" }, /cannot be read/],
    ];
    for (const [change, expected] of failures) {
      const answer = verdict("m1", { ...outcome, ...change });
      assert.ok("failure" in answer);
      assert.match(answer.failure, expected);
    }
  });
  test("two clusters are found where each member is content", () => {
    const of = (clusterId: string) =>
      verdict("m1", { ...outcome, stdout: JSON.stringify({ ...good, clusterId }) });
    assert.equal(disagreement([of("c1"), of("c1")]), undefined);
    assert.match(disagreement([of("c1"), of("c2")]) ?? "", /different clusters: c1, c2/);
  });
  test("the reason is the last line of what was said", () => {
    assert.equal(explain({ ...outcome, code: 3 }), "ended with 3");
    assert.equal(explain({ ...outcome, code: 3, stderr: "one\ntwo\n" }), "two");
  });
  test("a wrong host key of the bastion is said, not that the connection ended", () => {
    const stderr =
      "@@@@\nHost key verification failed.\nkex_exchange_identification: Connection closed by remote host\n";
    assert.equal(explain({ ...outcome, code: 255, stderr }), "Host key verification failed.");
  });
});

describe("a stack without outputs", () => {
  const urn = (type: string, name: string) => `urn:pulumi:dev::etcd-cluster::${type}::${name}`;
  const resource = (type: string, name: string, values: Record<string, unknown>, id = "x") => ({
    urn: urn(type, name),
    type,
    id,
    outputs: values,
  });
  const secret = (value: string) => ({
    "4dabf18193072939515e22adb298388d": "x",
    plaintext: JSON.stringify(value),
  });
  const ssh = (name: string, key: string) =>
    resource("tls:index/privateKey:PrivateKey", name, {
      publicKeyOpenssh: hostKey(key),
      privateKeyOpenssh: secret(outputs.sshPrivateKey),
    });
  const exported = {
    deployment: {
      resources: [
        { urn: urn("pulumi:pulumi:Stack", "dev"), type: "pulumi:pulumi:Stack" },
        ssh("etcd-operator", "operator"),
        resource("tls:index/privateKey:PrivateKey", "etcd-tls-operator", {
          privateKeyOpenssh: secret("wrong"),
        }),
        ssh("etcd-bastion-ssh-host", "bastion"),
        resource("aws:ec2/eip:Eip", "etcd-bastion", { publicIp: "203.0.113.7" }),
        ...["m2", "m1"].flatMap((name, index) => [
          resource(
            "aws:ebs/volume:Volume",
            `etcd-${name}`,
            { availabilityZone: "eu-central-1a" },
            `vol-0${index}`,
          ),
          resource("aws:ec2/networkInterface:NetworkInterface", `etcd-${name}`, {
            privateIp: `10.42.0.1${index}`,
          }),
          resource("aws:autoscaling/group:Group", `etcd-${name}`, { name: `dev-${name}` }),
          ssh(`etcd-${name}-ssh-host`, name),
          resource("aws:s3/bucketObjectv2:BucketObjectv2", `etcd-${name}-config`, {
            content: JSON.stringify({ artifacts: { etcd: { version: "3.6.14" } } }),
          }),
        ]),
      ],
    },
  };
  test("the same facts come from its resources", () => {
    const derived = stackSchema.parse(outputsFromState(exported));
    assert.deepEqual(
      derived.members.map(({ name, volumeId }) => [name, volumeId]),
      [
        ["m1", "vol-01"],
        ["m2", "vol-00"],
      ],
    );
    assert.equal(derived.bastionHost, "203.0.113.7");
    assert.equal(derived.bastionHostKey, hostKey("bastion"));
    assert.equal(derived.sshPrivateKey, outputs.sshPrivateKey);
    assert.equal(derived.etcdVersion, "3.6.14");
  });
  test("an empty state is not enough", () => {
    assert.equal(stackSchema.safeParse(outputsFromState({ deployment: {} })).success, false);
    assert.equal(stackSchema.safeParse(outputsFromState({})).success, false);
  });
});

test("a table's columns line up, and sizes are readable", () => {
  assert.equal(
    table(
      ["A", "LONG"],
      [
        ["xyz", "1"],
        ["", "2"],
      ],
    ),
    "A    LONG\nxyz  1\n     2",
  );
  assert.deepEqual([512, 20480, 5 * 1024 * 1024, 3 * 1024 ** 3].map(bytes), [
    "512 B",
    "20 KiB",
    "5.0 MiB",
    "3.0 GiB",
  ]);
});

test("members to fence are named one by one, each once; without a name nobody is meant", () => {
  const names = (text: string) => chosenMembers(stack, text).map(({ name }) => name);
  assert.deepEqual(names("m2,m1,m2"), ["m2", "m1"]);
  assert.throws(() => chosenMembers(stack, undefined), /--members is missing/);
  for (const text of ["", "m9", "m2,", "all"]) {
    assert.throws(() => names(text), /there is no member/);
  }
});
