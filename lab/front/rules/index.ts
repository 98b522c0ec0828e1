import type { Rules } from "../rule.ts";
import { addressRules } from "./addresses.ts";
import { balancerRules } from "./balancers.ts";
import { identityRules } from "./identity.ts";
import { interfaceRules } from "./interfaces.ts";
import { machineRules } from "./machines.ts";
import { monitoringRules } from "./monitoring.ts";
import { networkRules } from "./network.ts";
import { policyRules } from "./policies.ts";
import { storeRules } from "./stores.ts";
import { volumeRules } from "./volumes.ts";

/** Every rule that does not need the group engine. An operation has at most one. */
export const rules: Rules = merge(
  addressRules,
  balancerRules,
  identityRules,
  interfaceRules,
  machineRules,
  monitoringRules,
  networkRules,
  policyRules,
  storeRules,
  volumeRules,
);

function merge(...parts: readonly Rules[]): Rules {
  const merged: Record<string, Rules[string]> = {};
  for (const part of parts) {
    for (const [name, rule] of Object.entries(part)) {
      if (merged[name] !== undefined) throw new Error(`two rules for ${name}`);
      merged[name] = rule;
    }
  }
  return merged;
}
