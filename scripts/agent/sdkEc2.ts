/** What the agent uses of EC2's client, by name: five of its hundreds of calls are a tenth of its memory. Loaded when first used. */
export {
  AttachVolumeCommand,
  CreateVolumeCommand,
  DescribeVolumesCommand,
  DetachVolumeCommand,
  EC2Client,
  TerminateInstancesCommand,
} from "@aws-sdk/client-ec2";
