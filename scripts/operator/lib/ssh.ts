import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { constants } from "node:os";
import { execa, type Options } from "execa";
import type { Stack } from "./stack.ts";

/** The way to the machines: the system's ssh, through the bastion, every host key pinned, every file gone at the end. */

/** What a remote program did. */
export interface RemoteOutcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
}

/** Name of the bastion as a host of the ssh configuration. */
export const bastion = "bastion";

/** The exit code with which ssh says that it failed itself. */
export const sshFailed = 255;

/**
 * What runs an argument vector on a machine, word for word, without any shell looking at it: ssh hands its remote side one string,
 * so the words travel in base64, and python (part of every cloud image) unpacks and becomes them.
 */
export function remoteCommand(argv: readonly string[], options: { root?: boolean } = {}): string {
  const packed = Buffer.from(JSON.stringify(argv)).toString("base64");
  const program =
    "import base64,json,os,sys;a=json.loads(base64.b64decode(sys.argv[1]));os.execvp(a[0],a)";
  return `${options.root === true ? "sudo -n " : ""}python3 -c '${program}' ${packed}`;
}

/** Text of the ssh configuration. Every value in it was checked when the stack was read. */
export function sshConfig(stack: Stack, folder: string): string {
  const common = [
    "Host *",
    "  User admin",
    `  IdentityFile ${folder}/key`,
    "  IdentitiesOnly yes",
    "  IdentityAgent none",
    `  UserKnownHostsFile ${folder}/known_hosts`,
    "  GlobalKnownHostsFile /dev/null",
    "  StrictHostKeyChecking yes",
    "  UpdateHostKeys no",
    "  BatchMode yes",
    "  ForwardAgent no",
    "  ConnectTimeout 10",
    "  ServerAliveInterval 5",
    "  ServerAliveCountMax 3",
    "  LogLevel ERROR",
  ];
  const gate = [`Host ${bastion}`, `  HostName ${stack.bastionHost}`, `  HostKeyAlias ${bastion}`];
  const members = stack.members.flatMap(({ name, address }) => [
    `Host ${name}`,
    `  HostName ${address}`,
    `  HostKeyAlias ${name}`,
    `  ProxyJump ${bastion}`,
  ]);
  // ssh takes the first value it finds: the particular before the common.
  return `${[...gate, ...members, ...common].join("\n")}\n`;
}

/** The host keys that count, by the aliases of the configuration. */
export function knownHosts(stack: Stack): string {
  const lines = Object.entries(stack.memberHostKeys).map(([name, key]) => `${name} ${key}`);
  return `${[`${bastion} ${stack.bastionHostKey}`, ...lines].join("\n")}\n`;
}

/** An open way to a cluster's machines. Its folder holds the private key and is removed when the process ends, however it ends. */
export class Way {
  readonly folder: string;
  private readonly config: string;

  constructor(stack: Stack) {
    this.folder = mkdtempSync(join(tmpdir(), "etcd-operator-"));
    removeAtExit(this.folder);
    this.config = join(this.folder, "config");
    const key = stack.sshPrivateKey.endsWith("\n")
      ? stack.sshPrivateKey
      : `${stack.sshPrivateKey}\n`;
    writeFileSync(join(this.folder, "key"), key, { mode: 0o600 });
    writeFileSync(join(this.folder, "known_hosts"), knownHosts(stack), { mode: 0o600 });
    writeFileSync(this.config, sshConfig(stack, this.folder), { mode: 0o600 });
  }

  /** Runs a command on a host, bounded in time, and collects what it says. */
  async run(host: string, command: string, timeoutSeconds: number): Promise<RemoteOutcome> {
    const options = {
      reject: false,
      stdin: "ignore",
      timeout: timeoutSeconds * 1000,
      maxBuffer: 64 * 1024 * 1024,
    } satisfies Options;
    const result = await execa("ssh", ["-F", this.config, host, "--", command], options);
    return {
      code: result.exitCode ?? -1,
      stdout: result.stdout,
      stderr: result.stderr,
      timedOut: result.timedOut,
    };
  }

  /** Runs a command on a host with this terminal's input and output. Returns its exit code. */
  async become(host: string, command: string | undefined): Promise<number> {
    const isTerminal = process.stdin.isTTY && process.stdout.isTTY;
    const terminal = isTerminal ? ["-t"] : ["-T"];
    const words = command === undefined ? [] : ["--", command];
    const result = await execa("ssh", ["-F", this.config, ...terminal, host, ...words], {
      reject: false,
      stdio: "inherit",
    });
    return result.exitCode ?? sshFailed;
  }

  /** The first of some hosts that lets us in; an error that says what each answered. */
  async reachable(hosts: readonly string[]): Promise<string> {
    const answers: string[] = [];
    for (const host of hosts) {
      const outcome = await this.run(host, "true", 15);
      if (outcome.code === 0) return host;
      answers.push(`${host}: ${explain(outcome)}`);
    }
    throw new Error(`no machine can be reached by SSH:\n  ${answers.join("\n  ")}`);
  }
}

/** Why a remote program failed, in one line. */
export function explain(outcome: RemoteOutcome): string {
  if (outcome.timedOut) return "no answer in time";
  const lines = outcome.stderr.trim().split("\n");
  // When the jump fails, what ssh says last is only that the connection was closed.
  const cause = lines.find((line) => /^Host key verification failed|Permission denied/.test(line));
  const last = (outcome.code === sshFailed ? cause : undefined) ?? lines.at(-1) ?? "";
  return last === "" ? `ended with ${outcome.code}` : last;
}

function removeAtExit(folder: string): void {
  process.once("exit", () => {
    rmSync(folder, { recursive: true, force: true });
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => {
      process.exit(128 + constants.signals[signal]);
    });
  }
}
