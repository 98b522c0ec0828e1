import { main, options, splitOwn } from "./lib/main.ts";
import { bastion, remoteCommand, Way } from "./lib/ssh.ts";
import { memberNamed, readStack } from "./lib/stack.ts";

const usage = `ssh.ts --member m1 [COMMAND ARGUMENTS]
A shell on a member's machine (or on the bastion: --member bastion), through the bastion, or one command there, word for
word: no shell looks at its arguments.`;

async function ssh(): Promise<number> {
  const { own, rest } = splitOwn(process.argv.slice(2), ["--member"], ["--help"]);
  const { values } = options(
    usage,
    { member: { type: "string" }, help: { type: "boolean" } } as const,
    own,
  );
  if (values.help === true || values.member === undefined) {
    process.stdout.write(`${usage}\n`);
    return values.help === true ? 0 : 2;
  }
  const stack = await readStack();
  const host = values.member === bastion ? bastion : memberNamed(stack, values.member).name;
  return new Way(stack).become(host, rest.length === 0 ? undefined : remoteCommand(rest));
}

if (import.meta.main) await main("ssh", ssh);
