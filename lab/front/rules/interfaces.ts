import { DescribeNetworkInterfacesCommand } from "@aws-sdk/client-ec2";
import { AwsError } from "../errors.ts";
import type { Rules } from "../rule.ts";
import { chooseAddress } from "./addresses.ts";

/** Network interfaces: addresses, and what may not be done to one in use. */
export const interfaceRules: Rules = {
  "ec2:CreateNetworkInterface": {
    before: async (call, { records }) => {
      const subnetId = call.params.text("SubnetId") ?? "";
      const wanted =
        call.params.text("PrivateIpAddress") ??
        call.params.items("PrivateIpAddresses")[0]?.text("PrivateIpAddress");
      const address = await chooseAddress(records, call.region, subnetId, wanted);
      return call.params.with({ PrivateIpAddress: address });
    },
  },
  "ec2:DeleteNetworkInterface": {
    before: async (call, { records }) => {
      const id = call.params.text("NetworkInterfaceId") ?? "";
      const { NetworkInterfaces = [] } = await records
        .ec2(call.region)
        .send(new DescribeNetworkInterfacesCommand({ NetworkInterfaceIds: [id] }));
      if (NetworkInterfaces[0]?.Attachment !== undefined) {
        throw new AwsError(
          "InvalidParameterValue",
          `Network interface '${id}' is currently in use.`,
        );
      }
      return undefined;
    },
  },
};
