import commandPackage from "@pulumi/command/package.json" with { type: "json" };

import type { ProviderDefinition } from "../shared/resource.ts";
import { remoteCommand } from "./remoteCommand.ts";

/** The stand-in for @pulumi/command: real SSH, with the real provider's semantics and weaknesses. Only remote.Command exists. */
export const command: ProviderDefinition<undefined> = {
  name: "command",
  version: commandPackage.version,
  config: {},
  configure: () => undefined,
  resources: [remoteCommand],
  invokes: [],
};
