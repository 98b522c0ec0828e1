import commandPackage from "@pulumi/command/package.json" with { type: "json" };

import type { ProviderDefinition } from "../shared/resource.ts";
import { copyToRemote } from "./copyToRemote.ts";
import { remoteCommand } from "./remoteCommand.ts";

/** The stand-in for @pulumi/command: real SSH, with the real provider's semantics and weaknesses. Of its resources, those of `remote`. */
export const command: ProviderDefinition<undefined> = {
  name: "command",
  version: commandPackage.version,
  config: {},
  configure: () => undefined,
  resources: [remoteCommand, copyToRemote],
  invokes: [],
};
