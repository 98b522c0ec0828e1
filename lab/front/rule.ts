import type { Answer, Call } from "./call.ts";
import type { Params } from "./params.ts";
import type { Records } from "./records.ts";

/** What rules may look at. */
export interface RuleContext {
  readonly records: Records;
  /** Health of targets as the lab's balancers see it: balancer's target group -> "address:port" -> state. */
  targetHealth(targetGroupArn: string): Readonly<Record<string, string>> | undefined;
}

/** What the front does about one operation besides passing it on. Every part may throw an AwsError. */
export interface Rule {
  /** Refuses the call, or changes its parameters before moto sees them. */
  readonly before?: (call: Call, context: RuleContext) => Promise<Params | undefined>;
  /** Answers instead of moto. */
  readonly instead?: (call: Call, context: RuleContext) => Promise<Answer> | Answer;
  /** Corrects moto's answer. */
  readonly after?: (answer: Answer, call: Call, context: RuleContext) => Promise<Answer> | Answer;
}

/** Rules by "service:Operation". */
export type Rules = Readonly<Record<string, Rule>>;

/** A rule that only looks and refuses. */
export function refusing(check: (call: Call, records: Records) => Promise<void> | void): Rule {
  return {
    before: async (call, { records }) => {
      await check(call, records);
      return undefined;
    },
  };
}
