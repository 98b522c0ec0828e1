import { setFlagsFromString } from "node:v8";

import { bounded, until } from "./deadline";
import type { DesiredMember } from "./resize";
import { reasonOf, say } from "./say";

/**
 * etcd-agent, the program beside etcd on every member's machine.
 *
 * Every command but `boot` ends within its time, answers with one line of JSON on stdout, and says on stderr how it goes. None prints
 * a secret. Each is loaded when it is asked for: `boot` stays for as long as the machine lives, and has to be small.
 */

const usage = `etcd-agent boot
etcd-agent repair|converge|bootstrap --config SHA256 --timeout-seconds N
etcd-agent verify --timeout-seconds N
etcd-agent replace --timeout-seconds N
etcd-agent resize --members m1=ADDRESS=VOLUME,... --timeout-seconds N
etcd-agent restore [--copy NAME] [--fenced m2,m3] [--timeout-seconds N] [--confirm CLUSTER]
etcd-agent status
etcd-agent backup --reason WORD
etcd-agent look
etcd-agent upkeep`;

class UsageError extends Error {}

/** Options of a command: exactly these, each once, each with a value. */
function options<Name extends string>(
  args: readonly string[],
  rules: Readonly<Record<Name, RegExp>>,
): Record<Name, string> {
  const values = given(args, rules);
  for (const name of Object.keys(rules)) {
    if (!(name in values)) {
      throw new UsageError(`--${name} is missing`);
    }
  }
  return values as Record<Name, string>;
}

/** Some of these options, each once, each with a value. */
function given<Name extends string>(
  args: readonly string[],
  rules: Readonly<Record<Name, RegExp>>,
): Partial<Record<Name, string>> {
  const values: Partial<Record<string, string>> = {};
  for (let at = 0; at < args.length; at += 2) {
    const name = args[at]?.replace(/^--/, "") ?? "";
    const value = args[at + 1];
    const rule = Object.hasOwn(rules, name) ? rules[name as Name] : undefined;
    if (rule === undefined || value === undefined || !rule.test(value) || name in values) {
      throw new UsageError(`${args[at] ?? ""} ${value ?? ""} is not an option here`);
    }
    values[name] = value;
  }
  return values;
}

/** What another process has already said everything about. */
class ExitCode {
  readonly code: number;

  constructor(code: number) {
    this.code = code;
  }
}

/** A machine that is still being set up, or a bucket that does not answer at once, is not a reason to give up. */
async function byNamedAgent(config: string, limit: number): Promise<number | undefined> {
  const { thisMachine } = await import("./machine.ts");
  const { withNamedAgent } = await import("./release.ts");
  return until(limit, async () => withNamedAgent(await thisMachine(), config));
}

const seconds = /^[1-9][0-9]{0,4}$/;

/** Beyond its own deadlines, for a call that hangs below them. */
const graceSeconds = 15;

/** For the largest database; and for a restore drill with it. */
const backupSeconds = 1800;
const upkeepSeconds = 3500;
/** For what the agent does every minute by itself. */
const lookSeconds = 60;

async function command(name: string | undefined, args: readonly string[]): Promise<unknown> {
  switch (name) {
    case "boot":
      options(args, {});
      // Its code is needed every few seconds at most, and less of it compiled is 6 MiB less (in a day's looks at etcd).
      setFlagsFromString("--optimize-for-size");
      return (await import("./boot.ts")).bootLoop();
    case "repair":
    case "converge":
    case "bootstrap": {
      const wish = options(args, { config: /^[0-9a-f]{64}$/, "timeout-seconds": seconds });
      const limit = Number(wish["timeout-seconds"]);
      const code = await bounded(limit + 2 * graceSeconds, name, byNamedAgent(wish.config, limit));
      if (code !== undefined) {
        return new ExitCode(code);
      }
      const { bootstrap } = await import("./bootstrap.ts");
      return bounded(limit + graceSeconds, name, bootstrap(name, wish.config, limit));
    }
    case "verify": {
      const limit = Number(options(args, { "timeout-seconds": seconds })["timeout-seconds"]);
      const { verifyMember } = await import("./verifyMember.ts");
      return bounded(limit + graceSeconds, "verify", verifyMember(limit));
    }
    case "replace": {
      const limit = Number(options(args, { "timeout-seconds": seconds })["timeout-seconds"]);
      const { replace } = await import("./bootstrap.ts");
      return bounded(limit + graceSeconds, "replace", replace(limit));
    }
    case "resize": {
      const wish = options(args, { members, "timeout-seconds": seconds });
      const limit = Number(wish["timeout-seconds"]);
      const { resize } = await import("./resizeMember.ts");
      return bounded(limit + graceSeconds, "resize", resize(desiredMembers(wish.members), limit));
    }
    case "restore":
      return restore(args);
    case "status": {
      options(args, {});
      const { status } = await import("./status.ts");
      return bounded(graceSeconds, "status", status());
    }
    case "backup": {
      const { reasonPattern, takeBackup } = await import("./backup.ts");
      const { thisMachine } = await import("./machine.ts");
      const { reason } = options(args, { reason: reasonPattern });
      return bounded(backupSeconds, "backup", takeBackup(await thisMachine(), reason));
    }
    case "look": {
      options(args, {});
      const { look } = await import("./upkeep.ts");
      const { thisMachine } = await import("./machine.ts");
      return bounded(lookSeconds, "look", thisMachine().then(look)).then((due) => ({ due }));
    }
    case "upkeep": {
      options(args, {});
      const { upkeep } = await import("./upkeep.ts");
      return bounded(upkeepSeconds, "upkeep", upkeep());
    }
    case undefined:
    default:
      throw new UsageError(`${name ?? "nothing"} is not a command`);
  }
}

/** `m1=10.42.0.4=vol-0123abcd,…` */
const members =
  /^m[1-9][0-9]?=[0-9.]{7,15}=vol-[0-9a-f]{8,17}(,m[1-9][0-9]?=[0-9.]{7,15}=vol-[0-9a-f]{8,17}){0,6}$/;

function desiredMembers(text: string): DesiredMember[] {
  return text.split(",").map((part) => {
    const [name = "", address = "", volumeId = ""] = part.split("=");
    return { name, address, volumeId };
  });
}

/** Beyond the roll call: a copy has to be made, put in the bucket, fetched and tried. */
const restoreGraceSeconds = 1800;

async function restore(args: readonly string[]): Promise<unknown> {
  const wish = given(args, {
    copy: /^[A-Za-z0-9/.-]{1,300}$/,
    confirm: /^[a-z][a-z0-9-]{0,23}$/,
    fenced: /^m[1-9][0-9]?(,m[1-9][0-9]?)*$/,
    "timeout-seconds": seconds,
  });
  const limit = Number(wish["timeout-seconds"] ?? 120);
  const { operatorRestore } = await import("./operatorRestore.ts");
  return bounded(
    limit + restoreGraceSeconds,
    "restore",
    operatorRestore({
      copy: wish.copy,
      confirm: wish.confirm,
      fenced: wish.fenced?.split(",") ?? [],
      timeoutSeconds: limit,
    }),
  );
}

async function main(): Promise<number> {
  const [name, ...args] = process.argv.slice(2);
  try {
    const answer = await command(name, args);
    if (answer instanceof ExitCode) {
      return answer.code;
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
    return 0;
  } catch (error) {
    say(reasonOf(error));
    if (error instanceof UsageError) {
      process.stderr.write(`${usage}\n`);
      return 2;
    }
    return 1;
  }
}

void main().then((code) => {
  // A connection that is still open must not hold up the command that waits for us.
  process.exit(code);
});
