import { accountId } from "../../paths.ts";
import type { Caller } from "../call.ts";
import type { Rules } from "../rule.ts";
import { queryAnswer } from "../xml.ts";

/** A caller's ARN, as policies and errors name it. */
export function callerArn(caller: Caller): string {
  switch (caller.kind) {
    case "admin":
      return `arn:aws:iam::${accountId}:user/lab-admin`;
    case "role":
      return `arn:aws:sts::${accountId}:assumed-role/${caller.roleName}/${caller.instanceId}`;
    case "service":
      return `arn:aws:sts::${accountId}:assumed-role/AWSServiceRoleForAutoScaling/AutoScaling`;
  }
}

/** STS answers from what the front knows: moto knows neither the lab's administrator nor the machines' credentials. */
export const identityRules: Rules = {
  "sts:GetCallerIdentity": {
    instead: ({ caller }) =>
      queryAnswer("GetCallerIdentity", {
        Arn: callerArn(caller),
        UserId:
          caller.kind === "role"
            ? `AROALAB0000000000000:${caller.instanceId}`
            : "AIDALAB0000000000000",
        Account: accountId,
      }),
  },
};
