import {
  DescribeInstancesCommand,
  DescribeVolumesCommand,
  type Instance,
} from "@aws-sdk/client-ec2";
import { DescribeKeyCommand } from "@aws-sdk/client-kms";
import type { Call } from "../call.ts";
import { AwsError } from "../errors.ts";
import type { Params } from "../params.ts";
import type { Records } from "../records.ts";
import type { Rules } from "../rule.ts";
import { mustBeWithin, mustMatch } from "./text.ts";

/** What gp3 can be, and what it is when nothing is said. */
const gp3 = {
  sizeGiB: { low: 1, high: 16_384 },
  iops: { low: 3000, high: 16_000, perGiB: 500 },
  throughput: { low: 125, high: 1000, perIops: 0.25 },
} as const;

/** AWS's bounds for a gp3 volume: size, IOPS and their ratio, throughput and its ratio. */
export function checkGp3(params: Params, sizeName: string): void {
  const size = params.text(sizeName);
  const iops = params.text("Iops");
  const throughput = params.text("Throughput");
  mustBeWithin(sizeName, size, gp3.sizeGiB.low, gp3.sizeGiB.high);
  mustBeWithin("Iops", iops, gp3.iops.low, gp3.iops.high);
  mustBeWithin("Throughput", throughput, gp3.throughput.low, gp3.throughput.high);
  if (size !== undefined && iops !== undefined && Number(iops) > gp3.iops.low) {
    const most = Number(size) * gp3.iops.perGiB;
    if (Number(iops) > most) {
      throw new AwsError(
        "InvalidParameterValue",
        `Iops to volume size ratio of ${Number(iops) / Number(size)} is too high; maximum is ${gp3.iops.perGiB}.`,
      );
    }
  }
  const most = Number(iops ?? gp3.iops.low) * gp3.throughput.perIops;
  if (throughput !== undefined && Number(throughput) > most) {
    throw new AwsError(
      "InvalidParameterValue",
      `Throughput (MiBps) to iops ratio of ${Number(throughput) / Number(iops ?? gp3.iops.low)} is too high; maximum is ${gp3.throughput.perIops}.`,
    );
  }
}

/** Volume types the lab has: the program uses no other. */
export function checkType(type: string | undefined): void {
  mustMatch(
    "VolumeType",
    type,
    /^gp3$/,
    "the lab knows gp3 (AWS's default, gp2, must not be relied on)",
  );
}

/** A key given for encryption exists and is usable. */
export async function checkKey(
  call: Call,
  records: Records,
  keyId: string | undefined,
  encrypted: boolean,
): Promise<void> {
  if (keyId === undefined) return;
  if (!encrypted) {
    throw new AwsError(
      "InvalidParameterDependency",
      "The parameter [KmsKeyId] requires the parameter Encrypted to be set.",
    );
  }
  const { KeyMetadata } = await records
    .kms(call.region)
    .send(new DescribeKeyCommand({ KeyId: keyId }));
  if (KeyMetadata?.Enabled !== true) {
    throw new AwsError(
      "InvalidKMSKey.InvalidState",
      `The KMS key provided is in an incorrect state: ${KeyMetadata?.KeyState ?? ""}`,
    );
  }
}

async function instanceOf(call: Call, records: Records, id: string): Promise<Instance> {
  const { Reservations = [] } = await records
    .ec2(call.region)
    .send(new DescribeInstancesCommand({ InstanceIds: [id] }));
  const instance = Reservations[0]?.Instances?.[0];
  if (instance === undefined) {
    throw new AwsError("InvalidInstanceID.NotFound", `The instance ID '${id}' does not exist`);
  }
  return instance;
}

async function volumeOf(call: Call, records: Records) {
  const id = call.params.text("VolumeId") ?? "";
  const { Volumes = [] } = await records
    .ec2(call.region)
    .send(new DescribeVolumesCommand({ VolumeIds: [id] }));
  const volume = Volumes[0];
  if (volume === undefined) {
    throw new AwsError("InvalidVolume.NotFound", `The volume '${id}' does not exist.`);
  }
  return volume;
}

/** Volumes: gp3's bounds, and what can be attached where. */
export const volumeRules: Rules = {
  "ec2:CreateVolume": {
    before: async (call, { records }) => {
      const { params } = call;
      checkType(params.text("VolumeType"));
      checkGp3(params, "Size");
      mustMatch(
        "AvailabilityZone",
        params.text("AvailabilityZone"),
        new RegExp(`^${call.region}[abc]$`),
        `the lab's zones are ${call.region}a to c`,
        "InvalidZone.NotFound",
      );
      await checkKey(call, records, params.text("KmsKeyId"), params.text("Encrypted") === "true");
      return undefined;
    },
  },
  "ec2:ModifyVolume": {
    before: async (call, { records }) => {
      const volume = await volumeOf(call, records);
      checkGp3(call.params, "Size");
      const size = call.params.text("Size");
      if (size !== undefined && Number(size) < (volume.Size ?? 0)) {
        throw new AwsError(
          "InvalidParameterValue",
          `New size cannot be smaller than existing size (${volume.Size ?? 0} GiB)`,
        );
      }
      return undefined;
    },
  },
  "ec2:AttachVolume": {
    before: async (call, { records }) => {
      const { params } = call;
      const volume = await volumeOf(call, records);
      const instanceId = params.text("InstanceId") ?? "";
      const instance = await instanceOf(call, records, instanceId);
      const device = params.text("Device");
      mustMatch(
        "device",
        device,
        /^\/dev\/(sd[f-p]|xvd[f-p])$/,
        "data volumes are /dev/sdf to /dev/sdp",
      );
      if (volume.State !== "available") {
        const holder = volume.Attachments?.[0]?.InstanceId;
        throw holder === undefined
          ? new AwsError("IncorrectState", `Volume '${volume.VolumeId ?? ""}' is not 'available'.`)
          : new AwsError(
              "VolumeInUse",
              `${volume.VolumeId ?? ""} is already attached to an instance (${holder})`,
            );
      }
      if (instance.State?.Name !== "running" && instance.State?.Name !== "stopped") {
        throw new AwsError("IncorrectState", `Instance '${instanceId}' is not 'running'.`);
      }
      if (instance.Placement?.AvailabilityZone !== volume.AvailabilityZone) {
        throw new AwsError(
          "InvalidVolume.ZoneMismatch",
          `The volume '${volume.VolumeId ?? ""}' is not in the same availability zone as instance '${instanceId}'`,
        );
      }
      if (instance.BlockDeviceMappings?.some(({ DeviceName }) => DeviceName === device) === true) {
        throw new AwsError(
          "InvalidParameterValue",
          `Invalid value '${device ?? ""}' for unixDevice. Attachment point ${device ?? ""} is already in use`,
        );
      }
      return undefined;
    },
  },
  "ec2:DetachVolume": {
    before: async (call, { records }) => {
      const volume = await volumeOf(call, records);
      const attachment = volume.Attachments?.[0];
      if (attachment === undefined) {
        throw new AwsError(
          "IncorrectState",
          `Volume '${volume.VolumeId ?? ""}' is in the 'available' state.`,
        );
      }
      if (call.params.text("Force") === "true") {
        throw new AwsError(
          "LabUnknownParameter",
          "The lab does not force-detach volumes: nothing in the program may.",
        );
      }
      const instanceId = call.params.text("InstanceId");
      if (instanceId !== undefined && instanceId !== attachment.InstanceId) {
        throw new AwsError(
          "InvalidAttachment.NotFound",
          `The volume '${volume.VolumeId ?? ""}' is not attached to instance '${instanceId}'.`,
        );
      }
      // moto wants both; AWS finds them itself.
      return call.params.with({
        InstanceId: attachment.InstanceId ?? "",
        Device: attachment.Device ?? "",
      });
    },
  },
};
