import { EC2Client } from "@aws-sdk/client-ec2";
import { autoscalingRules } from "./autoscaling/api.ts";
import { GroupEngine } from "./autoscaling/engine.ts";
import type { Group } from "./autoscaling/model.ts";
import type { Call } from "./call.ts";
import { CallLog } from "./callLog.ts";
import { CredentialStore } from "./credentials.ts";
import { Front } from "./front.ts";
import { Authorizer } from "./iam/authorize.ts";
import { Policies } from "./iam/policies.ts";
import type { Moto } from "./moto.ts";
import { Records } from "./records.ts";
import { alarmStateRules } from "./rules/alarmStates.ts";
import { rules } from "./rules/index.ts";
import { targetRules } from "./rules/targets.ts";

/** A complete front with its group engine, not yet listening. */
export interface Assembly {
  readonly front: Front;
  readonly engine: GroupEngine;
  readonly credentials: CredentialStore;
  readonly calls: CallLog;
  readonly records: Records;
}

/** What the daemon, or a test, gives a front. */
export interface AssemblyOptions {
  readonly moto: Moto;
  /** Where the front will listen: the group engine calls it like anybody else. */
  readonly endpoint: string;
  readonly callFile?: string;
  readonly saveGroups?: (groups: readonly Group[]) => void;
  readonly changed?: (call: Call) => void;
  readonly targetHealth?: (targetGroupArn: string) => Readonly<Record<string, string>> | undefined;
  readonly log: (line: string) => void;
}

/** Puts a front together. */
export function assemble(options: AssemblyOptions): Assembly {
  const { moto, log } = options;
  const records = new Records(moto.port);
  const credentials = new CredentialStore();
  const calls = new CallLog(options.callFile);
  const own = credentials.mint({ kind: "service", name: "autoscaling.amazonaws.com" });
  const clients = new Map<string, EC2Client>();
  const engine = new GroupEngine({
    ec2: (region) => {
      const known = clients.get(region);
      if (known !== undefined) return known;
      const made = new EC2Client({
        endpoint: options.endpoint,
        region,
        credentials: own,
        maxAttempts: 1,
      });
      clients.set(region, made);
      return made;
    },
    save: options.saveGroups ?? (() => undefined),
    log,
  });
  const policies = new Policies(records);
  const authorizer = new Authorizer({
    records,
    policies,
    group: (region, instanceId) => engine.groupOf(region, instanceId),
  });
  const front = new Front({
    moto,
    credentials,
    calls,
    rules: { ...rules, ...autoscalingRules(engine), ...alarmStateRules(), ...targetRules() },
    context: { records, targetHealth: options.targetHealth ?? (() => undefined) },
    authorizer,
    changed: (call) => {
      if (call.service === "iam" || call.service === "kms" || /Bucket/.test(call.operation)) {
        policies.forget();
      }
      options.changed?.(call);
    },
    log,
  });
  return { front, engine, credentials, calls, records };
}
