import { createHash } from "node:crypto";

import { identityTags } from "../../components/plan/iamDocuments";
import { configOf, type Context } from "./context";
import { writeDurably } from "./files";
import { paths } from "./paths";
import { step } from "./point";
import { say } from "./say";

/**
 * Creates a volume in place of one that no longer exists. Exactly one: the token makes a repeated request return the first one's
 * volume, and a later machine finds it by its tags. The record's roster names it as soon as the member joins with it.
 */
export async function createVolume(context: Context): Promise<void> {
  const { CreateVolumeCommand } = await import("./sdkEc2.ts");
  const ec2 = await context.machine.clients.ec2();
  const { cluster, member, zone, volume } = configOf(context);
  const { volumeId: lost, instanceId } = context.facts.self;
  say(`${lost} no longer exists: creates another volume for ${member}`);
  const created = await step("createVolume:create", () =>
    ec2.send(
      new CreateVolumeCommand({
        AvailabilityZone: zone,
        VolumeType: "gp3",
        Size: volume.sizeGiB,
        Iops: volume.iops,
        Throughput: volume.throughputMiBps,
        Encrypted: true,
        KmsKeyId: volume.kmsKeyArn,
        ClientToken: createHash("sha256")
          .update([cluster, member, lost, instanceId].join(" "))
          .digest("hex"),
        TagSpecifications: [
          {
            ResourceType: "volume",
            Tags: [
              { Key: identityTags.cluster, Value: cluster },
              { Key: identityTags.member, Value: member },
              { Key: "Name", Value: `${cluster}-${member}` },
            ],
          },
        ],
      }),
    ),
  );
  const volumeId = created.VolumeId;
  if (volumeId === undefined) {
    throw new Error("EC2 created a volume and does not say which");
  }
  say(`created ${volumeId}`);
  await step("createVolume:note", () =>
    writeDurably(paths.volume, `${volumeId}\n`, { mode: 0o644 }),
  );
}
