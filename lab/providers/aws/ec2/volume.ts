import type { VolumeType } from "@aws-sdk/client-ec2";

import { flag, number, text } from "../../shared/schema.ts";
import type { Values } from "../../shared/value.ts";
import { awsResource, fromTagList, given, single } from "../awsResource.ts";
import { arn, type Aws } from "../environment.ts";
import { until, whileBusy } from "../waiting.ts";
import { retagEc2, tagSpecifications } from "./common.ts";

const performance = ["size", "type", "iops", "throughput"] as const;

/** aws.ebs.Volume */
export const volume = awsResource({
  type: "aws:ebs/volume:Volume",
  fields: {
    availabilityZone: text({ required: true, replaces: true }),
    size: number(),
    type: text(),
    iops: number(),
    throughput: number(),
    encrypted: flag({ replaces: true }),
    kmsKeyId: text({ replaces: true }),
    snapshotId: text({ replaces: true }),
  },
  computed: ["arn", "createTime", "iops", "throughput", "type", "size", "encrypted"],
  missing: ["InvalidVolume.NotFound"],
  // A terminating machine lets go of its volume a little later.
  busy: { codes: ["VolumeInUse"], seconds: 10 * 60 },
  retag: retagEc2,
  create: async (inputs, { aws, tags }) => {
    const { VolumeId } = await (
      await aws.ec2()
    ).createVolume({
      AvailabilityZone: inputs.availabilityZone,
      Size: inputs.size,
      VolumeType: inputs.type as VolumeType | undefined,
      Iops: inputs.iops,
      Throughput: inputs.throughput,
      Encrypted: inputs.encrypted,
      KmsKeyId: inputs.kmsKeyId,
      SnapshotId: inputs.snapshotId,
      ...tagSpecifications("volume", tags),
    });
    return given(VolumeId, "the volume's id");
  },
  ready: async (id, _state, { aws, context }) => {
    await until(`volume ${id}`, context, 5 * 60, async () => {
      const state = (await find(aws, id))?.State;
      return state === "available" || state === "in-use" ? true : undefined;
    });
  },
  read: async (id, state, aws) => {
    const found = await find(aws, id);
    return (
      found && {
        arn: arn(aws, "ec2", `volume/${id}`),
        availabilityZone: found.AvailabilityZone,
        size: found.Size,
        type: found.VolumeType,
        iops: found.Iops ?? state["iops"],
        throughput: found.Throughput ?? state["throughput"],
        encrypted: found.Encrypted,
        kmsKeyId: found.KmsKeyId,
        createTime: found.CreateTime?.toISOString(),
        tagsAll: fromTagList(found.Tags),
      }
    );
  },
  update: async ({ id, news, changed }, { aws, context }) => {
    if (!performance.some((key) => changed.has(key))) {
      return;
    }
    const ec2 = await aws.ec2();
    await ec2.modifyVolume({
      VolumeId: id,
      Size: news.size,
      VolumeType: news.type as VolumeType | undefined,
      Iops: news.iops,
      Throughput: news.throughput,
    });
    await until(`volume ${id} to be modified`, context, 5 * 60, async () => {
      const answer = await ec2.describeVolumesModifications({ VolumeIds: [id] });
      const state = single(answer.VolumesModifications)?.ModificationState;
      return state === "modifying" ? undefined : true;
    });
  },
  remove: async (id, _state, { aws }) => {
    await (await aws.ec2()).deleteVolume({ VolumeId: id });
  },
});

/** aws.ec2.VolumeAttachment */
export const volumeAttachment = awsResource({
  type: "aws:ec2/volumeAttachment:VolumeAttachment",
  fields: {
    deviceName: text({ required: true, replaces: true }),
    instanceId: text({ required: true, replaces: true }),
    volumeId: text({ required: true, replaces: true }),
    // How it is taken away: what is still in use must not be torn off, so the machine is stopped first.
    stopInstanceBeforeDetaching: flag(),
  },
  computed: [],
  // The last is what a volume without a machine says.
  missing: ["InvalidVolume.NotFound", "InvalidInstanceID.NotFound", "IncorrectState"],
  create: async ({ deviceName, instanceId, volumeId }, { aws, context }) => {
    const ec2 = await aws.ec2();
    // A machine that has just been made is pending for a while.
    await whileBusy(["IncorrectState"], context, 5 * 60, () =>
      ec2.attachVolume({ Device: deviceName, InstanceId: instanceId, VolumeId: volumeId }),
    );
    return `${volumeId}:${instanceId}`;
  },
  ready: async (_id, state, { aws, context }) => {
    await until("the volume to be attached", context, 5 * 60, async () =>
      (await attachment(aws, state))?.State === "attached" ? true : undefined,
    );
  },
  read: async (_id, state, aws) => {
    const found = await attachment(aws, state);
    return (
      found && {
        deviceName: found.Device,
        instanceId: found.InstanceId,
        volumeId: found.VolumeId,
      }
    );
  },
  remove: async (_id, state, { aws, context }) => {
    const ec2 = await aws.ec2();
    const { instanceId, volumeId } = state as { instanceId: string; volumeId: string };
    if (state["stopInstanceBeforeDetaching"] === true) {
      await ec2.stopInstances({ InstanceIds: [instanceId] });
      await until(`instance ${instanceId} to stop`, context, 10 * 60, async () => {
        const { Reservations } = await ec2.describeInstances({ InstanceIds: [instanceId] });
        const name = Reservations?.[0]?.Instances?.[0]?.State?.Name;
        return name === "stopped" || name === "terminated" ? true : undefined;
      });
    }
    await ec2.detachVolume({ InstanceId: instanceId, VolumeId: volumeId });
    await until(`volume ${volumeId} to be free`, context, 5 * 60, async () =>
      (await find(aws, volumeId))?.State === "available" ? true : undefined,
    );
  },
});

/** What a volume says of the machine that an attachment is about. */
async function attachment(aws: Aws, state: Values) {
  const found = await find(aws, state["volumeId"] as string);
  return found?.Attachments?.find(({ InstanceId }) => InstanceId === state["instanceId"]);
}

async function find(aws: Aws, id: string) {
  return single((await (await aws.ec2()).describeVolumes({ VolumeIds: [id] })).Volumes);
}
