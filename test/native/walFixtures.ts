import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import {
  ensureDumpTools,
  ensureEtcd,
  etcdModules,
  etcdPrograms,
  type EtcdVersion,
} from "../../lab/toolchain/artifacts.ts";
import { EtcdProcesses, type Member } from "./etcdProcesses.ts";

/**
 * Makes test/fixtures/wal anew: logs that etcd of each minor really wrote, each with what etcd's own dump tool prints of it and with the
 * members that etcd itself listed in the end. Run it by hand: node test/native/walFixtures.ts
 */

const fixtures = join(dirname(fileURLToPath(import.meta.url)), "..", "fixtures", "wal");
const log = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

/** What etcd says about a log, as test/unit/agent/wal.test.ts reads it. */
interface Expected {
  readonly etcd: string;
  readonly dump: Record<string, string>;
  readonly database: Record<string, string>;
  readonly members: { readonly id: string; readonly isLearner: boolean }[];
}

async function listed(etcd: EtcdProcesses, member: Member): Promise<Expected["members"]> {
  const text = await etcd.etcdctl(member, "member", "list");
  return text.split("\n").map((line) => {
    const cells = line.split(", ");
    return { id: cells[0] ?? "", isLearner: cells.at(-1) === "true" };
  });
}

/** The tool's text, as far as it names facts. */
async function dump(data: string): Promise<Expected["dump"]> {
  const { stdout } = await execa(join(await ensureDumpTools(log), "etcd-dump-logs"), [data]);
  const facts: Expected["dump"] = {};
  for (const [, name = "", value = ""] of stdout.matchAll(
    /\b(nodeID|clusterID|commitIndex|vote|lastIndex)=(\w+)/g,
  )) {
    facts[name] = value;
  }
  facts["snapshotIndex"] = /^term=\d+ index=(\d+) nodes/m.exec(stdout)?.[1] ?? "0";
  // The entries are rows of term, index, type and data.
  const rows = [...stdout.matchAll(/^ *(\d+)\t *(\d+)\t(norm|conf)/gm)];
  const last = rows.at(-1);
  facts["lastTerm"] = last?.[1] ?? "";
  facts["lastRow"] = last?.[2] ?? "";
  return facts;
}

/** What etcd's tool prints of the bucket `meta`, and the newest revision. */
async function dumpDatabase(data: string): Promise<Expected["database"]> {
  const tool = join(await ensureDumpTools(log), "etcd-dump-db");
  const bucket = async (...args: readonly string[]): Promise<string> => {
    const file = join(data, "member", "snap", "db");
    return (await execa(tool, ["iterate-bucket", file, ...args, "--decode"])).stdout;
  };
  const facts: Expected["database"] = {};
  for (const [, name = "", value = ""] of (await bucket("meta")).matchAll(
    /^key="(term|consistent_index|storageVersion)", value="?([\d.]+)/gm,
  )) {
    facts[name] = value;
  }
  facts["revision"] =
    /^rev=\{Revision:\{Main:(\d+) /.exec(await bucket("key", "--limit", "1"))?.[1] ?? "";
  return facts;
}

async function pack(data: string, folder: string, name: string, expected: Expected): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const copy = mkdtempSync(join(tmpdir(), "etcd-wal-fixture-"));
  try {
    for (const part of ["wal", "snap"]) {
      cpSync(join(data, "member", part), join(copy, "member", part), { recursive: true });
    }
    // Reserved for the next segment; no part of the log.
    for (const spare of ["0.tmp", "1.tmp"])
      rmSync(join(copy, "member/wal", spare), { force: true });
    await execa("fallocate", ["--dig-holes", ...(await segments(copy))]);
    await execa("tar", [
      ...[
        "--create",
        "--file",
        join(folder, `${name}.tar.gz`),
        "--use-compress-program",
        "gzip -9n",
      ],
      ...["--sparse", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0"],
      ...["--directory", copy, "member"],
    ]);
    writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(expected, undefined, 2)}\n`);
  } finally {
    rmSync(copy, { recursive: true });
  }
}

async function segments(copy: string): Promise<string[]> {
  const { stdout } = await execa("find", [join(copy, "member", "wal"), "-name", "*.wal"]);
  return stdout.split("\n");
}

/** A cluster that lives through what a log can hold: learner, promotion, removal, snapshots, entries that were replaced. */
async function record(version: EtcdVersion, folder: string): Promise<void> {
  const programs = etcdPrograms(await ensureEtcd(version, log), version);
  const etcd = new EtcdProcesses(folder, programs, "127.88.0.1");
  const options = ["--snapshot-count", "50", "--strict-reconfig-check=false"];
  try {
    const [a, b, c] = await etcd.form(["a", "b", "c"], options);
    if (a === undefined || b === undefined || c === undefined) throw new Error("no members");
    const write = async (to: Member, from: number, count: number): Promise<void> => {
      for (let n = from; n < from + count; n += 1)
        await etcd.put(to, `key-${n % 40}`, `value ${n}`);
    };
    await write(a, 0, 60);
    const idOf = async (name: string): Promise<string> =>
      new RegExp(`^(\\w+), \\w+, ${name},`, "m").exec(
        await etcd.etcdctl(a, "member", "list"),
      )?.[1] ?? "";
    const join = async (name: string, existing: readonly Member[]): Promise<Member> => {
      const member = await etcd.member(name);
      await etcd.etcdctl(a, "member", "add", name, "--learner", `--peer-urls=${member.peerUrl}`);
      etcd.start(member, [...existing, member], "existing", options);
      await etcd.caughtUp(member, a);
      return member;
    };
    const d = await join("d", [a, b, c]);
    await etcd.etcdctl(a, "member", "promote", await idOf("d"));
    await etcd.etcdctl(a, "member", "remove", await idOf("c"));
    await etcd.exit(c);
    await write(await etcd.leading([a, b, d]), 100, 20);
    const e = await join("e", [a, b, d]);
    await write(await etcd.leading([a, b, d]), 200, 15);

    // The leader alone accepts what nobody else gets; the others go on without it, and it has to give that up.
    const leader = await etcd.leading([a, b, d]);
    const others = [a, b, d].filter((each) => each !== leader);
    const [next] = others;
    if (next === undefined) throw new Error("no other member");
    for (const other of [...others, e]) await etcd.stop(other, "SIGKILL");
    const lost = AbortSignal.timeout(300);
    await Promise.allSettled(
      [1, 2, 3, 4, 5].map(async (n) => etcd.put(leader, "lost", `${n}`, lost)),
    );
    await etcd.stop(leader, "SIGKILL");
    for (const other of [...others, e]) etcd.start(other, [a, b, d, e], "existing", options);
    await etcd.serving(next);
    await write(await etcd.leading(others), 300, 8);
    etcd.start(leader, [a, b, d, e], "existing", options);
    await etcd.serving(leader);
    await write(next, 400, 3);
    const members = await listed(etcd, next);
    await etcd.end();
    for (const [name, member] of [
      ["replaced", leader],
      ["voter", next],
      ["learner", e],
      ["removed", c],
    ] as const) {
      const { data } = member;
      const printed = { dump: await dump(data), database: await dumpDatabase(data) };
      const expected = { etcd: version, ...printed, members };
      await pack(data, `${fixtures}/${version.replace(/\.\d+$/, "")}`, name, expected);
    }
  } finally {
    await etcd.end();
  }
}

const scratch = mkdtempSync(join(tmpdir(), "etcd-wal-"));
try {
  for (const version of Object.keys(etcdModules) as EtcdVersion[]) {
    await record(version, join(scratch, version));
  }
} finally {
  rmSync(scratch, { recursive: true });
}
