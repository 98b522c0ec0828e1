import { text, type InputsOf } from "../../shared/schema.ts";
import { awsResource, fromTagList, given, single } from "../awsResource.ts";
import { arn, type Aws } from "../environment.ts";
import { unlessMissing } from "../waiting.ts";
import { retagEc2, tagSpecifications } from "./common.ts";

const fields = {
  domain: text({ replaces: true }),
  networkInterface: text(),
  instance: text(),
  associateWithPrivateIp: text(),
} as const;

/** aws.ec2.Eip */
export const eip = awsResource({
  type: "aws:ec2/eip:Eip",
  fields,
  computed: [
    "allocationId",
    "arn",
    "associationId",
    "instance",
    "networkInterface",
    "publicIp",
    "privateIp",
    "publicDns",
  ],
  normalize: (inputs) => ({ domain: "vpc", ...inputs }),
  missing: ["InvalidAllocationID.NotFound", "InvalidAddress.NotFound"],
  busy: { codes: ["AuthFailure", "InvalidIPAddress.InUse"], seconds: 5 * 60 },
  retag: retagEc2,
  create: async (inputs, { aws, tags }) => {
    const { AllocationId } = await (
      await aws.ec2()
    ).allocateAddress({ Domain: "vpc", ...tagSpecifications("elastic-ip", tags) });
    return given(AllocationId, "the address's id");
  },
  ready: async (id, state, { aws }) => {
    const found = await address(aws, id);
    if (found !== undefined && found.AssociationId === undefined) {
      await associate(aws, id, state);
    }
  },
  read: async (id, _state, aws) => {
    const found = await address(aws, id);
    return (
      found && {
        allocationId: id,
        arn: arn(aws, "ec2", `elastic-ip/${id}`),
        domain: found.Domain,
        associationId: found.AssociationId ?? "",
        publicIp: found.PublicIp,
        publicDns: `ec2-${(found.PublicIp ?? "").replaceAll(".", "-")}.${aws.region}.compute.amazonaws.com`,
        privateIp: found.PrivateIpAddress,
        networkInterface: found.NetworkInterfaceId,
        instance: found.InstanceId === "" ? undefined : found.InstanceId,
        tagsAll: fromTagList(found.Tags),
      }
    );
  },
  update: async ({ id, news, changed }, { aws }) => {
    if (
      ["networkInterface", "instance", "associateWithPrivateIp"].some((key) => changed.has(key))
    ) {
      await disassociate(aws, id);
      await associate(aws, id, news);
    }
  },
  remove: async (id, _state, { aws }) => {
    await disassociate(aws, id);
    await (await aws.ec2()).releaseAddress({ AllocationId: id });
  },
});

async function address(aws: Aws, id: string) {
  return single((await (await aws.ec2()).describeAddresses({ AllocationIds: [id] })).Addresses);
}

async function associate(aws: Aws, id: string, inputs: InputsOf<typeof fields>): Promise<void> {
  if (inputs.networkInterface === undefined && inputs.instance === undefined) {
    return;
  }
  await (
    await aws.ec2()
  ).associateAddress({
    AllocationId: id,
    NetworkInterfaceId: inputs.networkInterface,
    InstanceId: inputs.instance,
    PrivateIpAddress: inputs.associateWithPrivateIp,
  });
}

async function disassociate(aws: Aws, id: string): Promise<void> {
  const association = (await address(aws, id))?.AssociationId;
  if (association !== undefined && association !== "") {
    await unlessMissing(["InvalidAssociationID.NotFound"], async () =>
      (await aws.ec2()).disassociateAddress({ AssociationId: association }),
    );
  }
}
