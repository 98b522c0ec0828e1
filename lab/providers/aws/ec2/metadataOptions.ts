import type {
  HttpTokensState,
  InstanceMetadataEndpointState,
  InstanceMetadataTagsState,
} from "@aws-sdk/client-ec2";

import { number, object, text, type InputsOf } from "../../shared/schema.ts";

const fields = {
  httpEndpoint: text(),
  httpTokens: text(),
  httpPutResponseHopLimit: number(),
  instanceMetadataTags: text(),
} as const;

/** Arguments about the instance metadata service, of instances and launch templates. */
export const metadataOptions = object(fields);

/** The same in AWS's words. AWS checks the values. */
export function metadataRequest(options: InputsOf<typeof fields> | undefined) {
  return (
    options && {
      HttpEndpoint: options.httpEndpoint as InstanceMetadataEndpointState | undefined,
      HttpTokens: options.httpTokens as HttpTokensState | undefined,
      HttpPutResponseHopLimit: options.httpPutResponseHopLimit,
      InstanceMetadataTags: options.instanceMetadataTags as InstanceMetadataTagsState | undefined,
    }
  );
}
