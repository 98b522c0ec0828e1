// The certificate library declares its classes with decorators, which need this before anything else.
import "reflect-metadata";

import tlsPackage from "@pulumi/tls/package.json" with { type: "json" };

import type { ProviderDefinition } from "../shared/resource.ts";
import { certRequest } from "./certRequest.ts";
import { locallySignedCert } from "./locallySignedCert.ts";
import { privateKey } from "./privateKey.ts";
import { selfSignedCert } from "./selfSignedCert.ts";

/** The stand-in for @pulumi/tls: real keys and certificates, with the real provider's ids, defaults and renewal. */
export const tls: ProviderDefinition<undefined> = {
  name: "tls",
  version: tlsPackage.version,
  config: {},
  configure: () => undefined,
  resources: [privateKey, certRequest, selfSignedCert, locallySignedCert],
  invokes: [],
};
