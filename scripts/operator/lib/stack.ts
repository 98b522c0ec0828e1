import { execa } from "execa";
import { z } from "zod";
import { outputsFromState } from "./stateOutputs.ts";

/** What the operator's scripts know of a cluster: the stack's outputs, checked, because they become host names and file contents. */

const sshKey = z
  .string()
  .transform((text) => text.trim())
  .pipe(z.string().regex(/^(ssh-ed25519|ecdsa-sha2-nistp256|ssh-rsa) [A-Za-z0-9+/=]+( \S+)?$/));

const memberSchema = z.object({
  name: z.string().regex(/^m[1-9][0-9]?$/),
  zone: z.string().regex(/^[a-z0-9-]+$/),
  address: z.ipv4(),
  volumeId: z.string().regex(/^vol-[0-9a-f]+$/),
  groupName: z.string().regex(/^[A-Za-z0-9._-]+$/),
});

/** The outputs that the scripts use. */
export const stackSchema = z.object({
  bastionHost: z.ipv4(),
  bastionHostKey: sshKey,
  members: z.array(memberSchema).min(1),
  memberHostKeys: z.record(z.string(), sshKey),
  sshPrivateKey: z.string().startsWith("-----BEGIN "),
  etcdVersion: z.string().regex(/^3\.[0-9]+\.[0-9]+$/),
});

/** A cluster as its stack describes it. Holds the operators' SSH key: never print it whole. */
export type Stack = z.infer<typeof stackSchema>;

/** A member as its stack describes it. */
export type Member = z.infer<typeof memberSchema>;

/** Runs Pulumi on the selected stack (PULUMI_STACK or `pulumi stack select`) and returns what it printed. */
export async function pulumi(...args: readonly string[]): Promise<string> {
  const result = await execa("pulumi", [...args, "--non-interactive"], {
    reject: false,
    maxBuffer: 512 * 1024 * 1024,
    stdin: "ignore",
  });
  if (result.exitCode !== 0) {
    const said = result.stderr.trim() === "" ? String(result.shortMessage) : result.stderr.trim();
    throw new Error(`pulumi ${args[0] ?? ""} ${args[1] ?? ""}: ${said}`);
  }
  return result.stdout;
}

/**
 * Reads the selected stack. Outputs are there when `pulumi up` has once succeeded; before that, and that is when somebody wants to
 * look at a machine's log, the same facts are taken from the resources in the state.
 */
export async function readStack(): Promise<Stack> {
  const outputs: unknown = JSON.parse(await pulumi("stack", "output", "--json", "--show-secrets"));
  const complete = stackSchema.safeParse(outputs);
  if (complete.success) return complete.data;
  const exported: unknown = JSON.parse(await pulumi("stack", "export", "--show-secrets"));
  const derived = stackSchema.safeParse(outputsFromState(exported));
  if (derived.success) return derived.data;
  // Names of what is missing only: zod's own message might quote a value.
  const missing = [...new Set(derived.error.issues.map(({ path }) => String(path[0])))].join(", ");
  throw new Error(
    `the stack has no cluster yet (${missing} not known): run \`pulumi up\` first, or select another stack`,
  );
}

/** The named member; an error that lists the others when there is none. */
export function memberNamed(stack: Stack, name: string): Member {
  const found = stack.members.find((member) => member.name === name);
  if (found === undefined) {
    const names = stack.members.map((member) => member.name).join(", ");
    throw new Error(`there is no member ${name}; the cluster has ${names}`);
  }
  return found;
}
