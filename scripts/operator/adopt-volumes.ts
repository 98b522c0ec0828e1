import { z } from "zod";
import { exportState, importState, resourcesOf, type Checkpoint } from "./lib/deployment.ts";
import { agentProgram } from "./lib/machine.ts";
import { main, options } from "./lib/main.ts";
import { explain, remoteCommand, Way } from "./lib/ssh.ts";
import { pulumi, readStack } from "./lib/stack.ts";

const usage = `adopt-volumes.ts [--apply]
A member whose data volume no longer exists makes itself another one, which Pulumi knows nothing of. This asks every member which
volume it uses, puts that into the state in place of the lost one, and refreshes it; the next \`pulumi up\` then goes on with
it instead of making a third. Without --apply it only says what it would do.`;

const statusSchema = z.object({ volumeId: z.string().regex(/^vol-[0-9a-f]{8,17}$/) });

/** One volume that takes another's place in the state. */
export interface Adoption {
  readonly member: string;
  readonly urn: string;
  readonly lost: string;
  readonly used: string;
}

/** What differs between the state and what the members use. */
export function adoptions(checkpoint: Checkpoint, used: ReadonlyMap<string, string>): Adoption[] {
  return [...used].flatMap(([member, volumeId]) => {
    const volume = resourcesOf(checkpoint).find(
      ({ type, urn }) => type === "aws:ebs/volume:Volume" && urn.endsWith(`-${member}`),
    );
    return volume?.id === undefined || volume.id === volumeId
      ? []
      : [{ member, urn: volume.urn, lost: volume.id, used: volumeId }];
  });
}

/** The state with the used volumes; everything else about them is for the refresh to find out. */
export function adopted(checkpoint: Checkpoint, changes: readonly Adoption[]): Checkpoint {
  const resources = resourcesOf(checkpoint).map((resource) => {
    const change = changes.find(({ urn }) => urn === resource.urn);
    return change === undefined
      ? resource
      : { ...resource, id: change.used, outputs: { ...resource.outputs, id: change.used } };
  });
  return { ...checkpoint, deployment: { ...checkpoint.deployment, resources } };
}

async function usedVolumes(): Promise<Map<string, string>> {
  const stack = await readStack();
  const way = new Way(stack);
  const command = remoteCommand([agentProgram, "status"], { root: true });
  const answers = await Promise.all(
    stack.members.map(async ({ name }) => {
      const outcome = await way.run(name, command, 30);
      if (outcome.code !== 0) throw new Error(`${name}: ${explain(outcome)}`);
      return [name, statusSchema.parse(JSON.parse(outcome.stdout)).volumeId] as const;
    }),
  );
  return new Map(answers);
}

async function adopt(): Promise<number> {
  const { values } = options(usage, {
    apply: { type: "boolean", default: false },
    help: { type: "boolean" },
  } as const);
  if (values.help === true) {
    process.stdout.write(`${usage}\n`);
    return 0;
  }
  const checkpoint = await exportState();
  const changes = adoptions(checkpoint, await usedVolumes());
  for (const { member, lost, used } of changes) {
    process.stdout.write(`${member} uses ${used}; the state has ${lost}\n`);
  }
  if (changes.length === 0) {
    process.stdout.write("every member uses the volume that the state has\n");
    return 0;
  }
  if (!values.apply) {
    process.stdout.write("nothing was changed; --apply adopts them\n");
    return 0;
  }
  await importState(adopted(checkpoint, changes));
  const targets = changes.flatMap(({ urn }) => ["--target", urn]);
  await pulumi("refresh", "--yes", "--skip-preview", ...targets);
  process.stdout.write("adopted; `pulumi up` tells the members\n");
  return 0;
}

if (import.meta.main) await main("adopt-volumes", adopt);
