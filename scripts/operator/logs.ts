import { units } from "./lib/machine.ts";
import { main, options, UsageError } from "./lib/main.ts";
import { remoteCommand, Way } from "./lib/ssh.ts";
import { memberNamed, readStack } from "./lib/stack.ts";

const usage = `logs.ts --member m1 [--lines N] [--since WHEN] [--follow]
The journal of a member: etcd, the agent, the volume, the first boot.`;

async function logs(): Promise<number> {
  const { values } = options(usage, {
    member: { type: "string" },
    lines: { type: "string", default: "300" },
    since: { type: "string" },
    follow: { type: "boolean", default: false },
    help: { type: "boolean" },
  } as const);
  if (values.help === true || values.member === undefined) {
    process.stdout.write(`${usage}\n`);
    return values.help === true ? 0 : 2;
  }
  if (!/^([1-9]\d{0,6}|all)$/.test(values.lines)) {
    throw new UsageError(`--lines ${values.lines} is neither a number nor "all"`);
  }
  const stack = await readStack();
  const { name } = memberNamed(stack, values.member);
  const command = [
    ...["journalctl", "--no-pager", "--output=short-iso", `--lines=${values.lines}`],
    ...units.map((unit) => `--unit=${unit}`),
    ...(values.since === undefined ? [] : [`--since=${values.since}`]),
    ...(values.follow ? ["--follow"] : []),
  ];
  return new Way(stack).become(name, remoteCommand(command, { root: true }));
}

if (import.meta.main) await main("logs", logs);
