import { appendFileSync } from "node:fs";
import type { Call, Caller } from "./call.ts";
import type { AccessRequest } from "./iam/evaluate.ts";

/** One recorded call. */
export interface LoggedCall {
  readonly time: string;
  /** `admin`, `role/<name>/<instance>` or `service/<name>`. */
  readonly caller: string;
  readonly service: string;
  readonly operation: string;
  readonly region: string;
  /** Identifiers that the parameters name: enough to see what was touched, never a value. */
  readonly resources: readonly string[];
  /** What the policies were asked for a machine's call, with the context they see: tags, conditions, prefixes; no values. */
  readonly needs?: readonly AccessRequest[];
  readonly allowed: boolean;
  readonly status: number;
  readonly error?: string;
  readonly milliseconds: number;
}

/** A caller in one word. */
export function callerName(caller: Caller): string {
  switch (caller.kind) {
    case "admin":
      return "admin";
    case "role":
      return `role/${caller.roleName}/${caller.instanceId}`;
    case "service":
      return `service/${caller.name}`;
  }
}

/** Parameters that are names or ids of resources. Everything else may be secret and is not recorded. */
const identifying =
  /(^|\.)(?:[A-Za-z]*(?:Id|Ids|Arn|Arns|ARN|Name|Names|GroupName|RoleName|Bucket|Key|Path|HostedZoneId))(\.\d+)?$/;
const neverIdentifying = /(^|\.)(Tag|Tags|TagSpecification|Filter|Filters)\b|TagKey|ParameterValue/;

/** The identifiers in a call's parameters. */
export function resourcesOf(call: Call): string[] {
  if (call.service === "s3") {
    const bucket = call.params.text("Bucket");
    const key = call.params.text("Key");
    return bucket === undefined ? [] : [key === undefined ? bucket : `${bucket}/${key}`];
  }
  return call.params
    .entries()
    .filter(([name]) => identifying.test(name) && !neverIdentifying.test(name))
    .map(([, value]) => value)
    .slice(0, 20);
}

/** Calls as they happened: the latest in memory, all of them in a file of JSON lines. */
export class CallLog {
  private readonly latest: LoggedCall[] = [];
  private readonly file: string | undefined;
  private readonly capacity: number;

  constructor(file?: string, capacity = 5000) {
    this.file = file;
    this.capacity = capacity;
  }

  /** Records one call. */
  add(entry: LoggedCall): void {
    this.latest.push(entry);
    if (this.latest.length > this.capacity)
      this.latest.splice(0, this.latest.length - this.capacity);
    if (this.file !== undefined) appendFileSync(this.file, `${JSON.stringify(entry)}\n`);
  }

  /** The latest calls, oldest first. */
  all(): readonly LoggedCall[] {
    return this.latest;
  }
}
