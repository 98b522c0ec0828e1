import { z } from "zod";

/**
 * The outputs that the scripts need, taken from the resources of a state: after an `up` that failed there are no outputs, and
 * machines to look at. Resources are known by the component they are a part of and by the ends of their names.
 */

const resourceSchema = z.object({
  urn: z.string(),
  type: z.string(),
  id: z.string().optional(),
  outputs: z.record(z.string(), z.unknown()).optional(),
});

/** A deployment as `pulumi stack export` prints it, as far as it is read here. */
const exportSchema = z.object({
  deployment: z.object({ resources: z.array(resourceSchema).optional() }),
});

type Exported = z.infer<typeof resourceSchema>;

/** A secret in an export made with --show-secrets: its value as JSON. */
const secretSchema = z.object({ plaintext: z.string() });

function plain(value: unknown): unknown {
  const secret = secretSchema.safeParse(value);
  return secret.success ? (JSON.parse(secret.data.plaintext) as unknown) : value;
}

function nameOf(urn: string): string {
  return urn.slice(urn.lastIndexOf("::") + 2);
}

/** What can be told; the caller checks whether it is enough. */
export function outputsFromState(exported: unknown): Record<string, unknown> {
  const resources = exportSchema.safeParse(exported).data?.deployment.resources ?? [];
  const named = (type: string, ending: RegExp): Exported | undefined =>
    resources.find((each) => each.type === type && ending.test(nameOf(each.urn)));
  const output = (resource: Exported | undefined, key: string): unknown =>
    plain(resource?.outputs?.[key]);

  const volumes = resources.filter((each) => each.type === "aws:ebs/volume:Volume");
  const members = volumes.flatMap((volume) => {
    const name = /-(m[1-9][0-9]?)$/.exec(nameOf(volume.urn))?.[1];
    if (name === undefined) return [];
    const ending = new RegExp(`-${name}$`);
    return [
      {
        name,
        zone: output(volume, "availabilityZone"),
        address: output(named("aws:ec2/networkInterface:NetworkInterface", ending), "privateIp"),
        volumeId: volume.id,
        groupName: output(named("aws:autoscaling/group:Group", ending), "name"),
      },
    ];
  });
  const memberHostKeys = members.map(({ name }) => [
    name,
    output(
      named("tls:index/privateKey:PrivateKey", new RegExp(`-${name}-ssh-host$`)),
      "publicKeyOpenssh",
    ),
  ]);
  return {
    bastionHost: output(named("aws:ec2/eip:Eip", /-bastion$/), "publicIp"),
    bastionHostKey: output(
      named("tls:index/privateKey:PrivateKey", /-bastion-ssh-host$/),
      "publicKeyOpenssh",
    ),
    members: members
      .filter(({ address, groupName }) => address !== undefined && groupName !== undefined)
      .sort((a, b) => Number(a.name.slice(1)) - Number(b.name.slice(1))),
    memberHostKeys: Object.fromEntries(memberHostKeys) as Record<string, unknown>,
    // The key of commands, not tls:… -tls-operator, which is a client certificate's.
    sshPrivateKey: output(
      resources.find(
        ({ type, urn }) =>
          type === "tls:index/privateKey:PrivateKey" &&
          /-operator$/.test(nameOf(urn)) &&
          !/-tls-operator$/.test(nameOf(urn)),
      ),
      "privateKeyOpenssh",
    ),
    etcdVersion: versionIn(resources),
  };
}

/** etcd's version, from any member's desired state. */
function versionIn(resources: readonly Exported[]): string | undefined {
  const configSchema = z.object({
    artifacts: z.object({ etcd: z.object({ version: z.string() }) }),
  });
  for (const { type, urn, outputs } of resources) {
    if (type !== "aws:s3/bucketObjectv2:BucketObjectv2" || !urn.endsWith("-config")) continue;
    const content = plain(outputs?.["content"]);
    if (typeof content !== "string") continue;
    const parsed = configSchema.safeParse(JSON.parse(content));
    if (parsed.success) return parsed.data.artifacts.etcd.version;
  }
  return undefined;
}
