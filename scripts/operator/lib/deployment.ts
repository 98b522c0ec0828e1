import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { pulumi } from "./stack.ts";

/** The stack's state as Pulumi exports it. Everything that is not read here is kept as it is. */

const resourceSchema = z.looseObject({
  urn: z.string(),
  type: z.string(),
  custom: z.boolean().optional(),
  id: z.string().optional(),
  inputs: z.record(z.string(), z.unknown()).optional(),
  outputs: z.record(z.string(), z.unknown()).optional(),
  delete: z.boolean().optional(),
  pendingReplacement: z.boolean().optional(),
});

const operationSchema = z.looseObject({ resource: resourceSchema, type: z.string() });

const checkpointSchema = z.looseObject({
  deployment: z.looseObject({
    resources: z.array(resourceSchema).optional(),
    pending_operations: z.array(operationSchema).optional(),
  }),
});

/** A resource in the state, or one that Pulumi was about to create. */
export type StateResource = z.infer<typeof resourceSchema>;

/** An exported state. */
export type Checkpoint = z.infer<typeof checkpointSchema>;

/** What is to be done with an operation that was under way when Pulumi died. */
export type Settlement =
  /** AWS has it: it goes into the state under this id. */
  | { readonly kind: "adopt"; readonly urn: string; readonly id: string }
  /** AWS does not have it, or making it again does no harm: Pulumi may forget that it began. */
  | { readonly kind: "forget"; readonly urn: string };

/** Exports the state; secrets stay encrypted. */
export async function exportState(): Promise<Checkpoint> {
  return checkpointSchema.parse(JSON.parse(await pulumi("stack", "export")));
}

/** Operations that were under way. */
export function pendingOperations(
  checkpoint: Checkpoint,
): { readonly type: string; readonly resource: StateResource }[] {
  return checkpoint.deployment.pending_operations ?? [];
}

/** Resources in the state. */
export function resourcesOf(checkpoint: Checkpoint): StateResource[] {
  return checkpoint.deployment.resources ?? [];
}

/**
 * The state after settlements. An adopted resource is put last, after everything it depends on, with the inputs the program gave it;
 * the refresh that must follow asks AWS for the rest. Updates and deletions that were under way are simply tried again by the next
 * `up`, so their marks go too.
 */
export function settled(checkpoint: Checkpoint, settlements: readonly Settlement[]): Checkpoint {
  const adopted = new Map(
    settlements.flatMap((each) => (each.kind === "adopt" ? [[each.urn, each.id] as const] : [])),
  );
  const added = pendingOperations(checkpoint).flatMap(({ type, resource }) => {
    const id = type === "creating" ? adopted.get(resource.urn) : undefined;
    return id === undefined
      ? []
      : [{ ...resource, id, outputs: { ...resource.inputs, ...resource.outputs } }];
  });
  const kept = resourcesOf(checkpoint).filter(
    ({ urn, pendingReplacement }) => !(pendingReplacement === true && adopted.has(urn)),
  );
  return {
    ...checkpoint,
    deployment: {
      ...checkpoint.deployment,
      resources: [...kept, ...added],
      pending_operations: [],
    },
  };
}

/** Writes a state back. The file it travels in is readable for nobody else, and gone afterwards. */
export async function importState(checkpoint: Checkpoint): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "etcd-operator-"));
  try {
    const file = join(folder, "state.json");
    writeFileSync(file, JSON.stringify(checkpoint), { mode: 0o600 });
    await pulumi("stack", "import", "--file", file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
