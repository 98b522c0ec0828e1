import { must } from "../../lab/support.ts";
import type { Resource } from "#security/controls/control";
import type { CallScope } from "#security/recording";

/** What a stack's state says of what is deployed. */
export interface DeployedStack {
  readonly resources: readonly Resource[];
  readonly scope: CallScope;
}

interface StateResource {
  readonly urn: string;
  readonly type: string;
  readonly inputs?: Readonly<Record<string, unknown>>;
  readonly outputs?: Readonly<Record<string, unknown>>;
}

/** Reads the state of the stack that an environment selects; secrets stay as they are. */
export async function readStack(
  environment: Record<string, string>,
  where: Pick<CallScope, "accountId" | "region" | "cluster">,
): Promise<DeployedStack> {
  const { stdout } = await must("pulumi", ["stack", "export"], {
    env: environment,
    timeoutSeconds: 60,
  });
  const { deployment } = JSON.parse(stdout) as { deployment: { resources: StateResource[] } };
  const one = (type: string, output: string): string => {
    const found = deployment.resources.filter((each) => each.type === type);
    const value = found[0]?.outputs?.[output];
    if (found.length !== 1 || typeof value !== "string") {
      throw new Error(`the stack has ${found.length} ${type}, ${output} ${String(value)}`);
    }
    return value;
  };
  return {
    resources: deployment.resources.map(({ urn, type, inputs = {} }) => ({
      type,
      name: urn.split("::").at(-1) ?? "",
      inputs: Object.fromEntries(Object.entries(inputs).filter(([name]) => name !== "__defaults")),
    })),
    scope: {
      ...where,
      bucket: one("aws:s3/bucket:Bucket", "bucket"),
      keyId: one("aws:kms/key:Key", "keyId"),
    },
  };
}
