import { isWrite, isKnown } from "./operations.ts";
import { protocols, type Answer, type Call, type RawRequest } from "./call.ts";
import { callerName, resourcesOf, type CallLog } from "./callLog.ts";
import { dechunk } from "./chunked.ts";
import type { CredentialStore } from "./credentials.ts";
import { AwsError, deniedError, renderError } from "./errors.ts";
import { identify, Refusal } from "./identify.ts";
import type { Authorizer } from "./iam/authorize.ts";
import type { AccessRequest } from "./iam/evaluate.ts";
import type { Moto } from "./moto.ts";
import { checkTags } from "./rules/text.ts";
import type { Rule, RuleContext, Rules } from "./rule.ts";

/** What a front is made of. */
export interface FrontParts {
  readonly moto: Moto;
  readonly credentials: CredentialStore;
  readonly calls: CallLog;
  readonly rules: Rules;
  readonly context: RuleContext;
  /** Refuses what the caller's policies do not allow. */
  readonly authorizer: Authorizer;
  /** Told after every successful change. */
  readonly changed: (call: Call) => void;
  readonly log: (line: string) => void;
}

/** The AWS API: identifies, authorises, checks, corrects, records, and leaves the remembering to moto. */
export class Front {
  private readonly parts: FrontParts;
  private readonly turns = new Map<string, Promise<unknown>>();

  constructor(parts: FrontParts) {
    this.parts = parts;
  }

  /** Answers one request; never throws. */
  async handle(request: RawRequest): Promise<Answer> {
    const started = performance.now();
    let call: Call | undefined;
    let answer: Answer;
    let error: AwsError | undefined;
    let needs: readonly AccessRequest[] | undefined;
    try {
      call = identify(request, this.parts.credentials);
      answer = await this.perform(call, (asked) => {
        needs = asked;
      });
    } catch (thrown) {
      const protocol =
        thrown instanceof Refusal ? thrown.protocol : protocols[call?.service ?? "sts"];
      error = this.asAwsError(thrown);
      answer = renderError(protocol, error);
      if (request.method === "HEAD") answer = { ...answer, body: Buffer.alloc(0) };
    }
    this.parts.calls.add({
      time: new Date().toISOString(),
      caller: call === undefined ? "unidentified" : callerName(call.caller),
      service: call?.service ?? "",
      operation: call?.operation ?? `${request.method} ${request.target.slice(0, 80)}`,
      region: call?.region ?? "",
      resources: call === undefined ? [] : resourcesOf(call),
      ...(needs === undefined ? {} : { needs }),
      allowed: error === undefined,
      status: answer.status,
      ...(error === undefined ? {} : { error: `${error.code}: ${error.message}` }),
      milliseconds: Math.round(performance.now() - started),
    });
    if (call !== undefined && answer.status < 400 && isWrite(call.service, call.operation)) {
      this.parts.changed(call);
    }
    return answer;
  }

  private asAwsError(thrown: unknown): AwsError {
    if (thrown instanceof Refusal) return thrown.reason;
    if (thrown instanceof AwsError) return thrown;
    // The SDK's exceptions of the front's own look-ups in moto: "not found" there is "not found" here.
    if (thrown instanceof Error && "$metadata" in thrown) {
      const { httpStatusCode } = thrown.$metadata as { httpStatusCode?: number };
      return new AwsError(thrown.name, thrown.message, httpStatusCode ?? 400);
    }
    const text = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    this.parts.log(`front: ${text}`);
    return new AwsError("InternalFailure", `The lab's front failed: ${text}`, 500);
  }

  private async perform(
    call: Call,
    asked: (needs: readonly AccessRequest[]) => void,
  ): Promise<Answer> {
    const { service, operation } = call;
    if (!isKnown(service, operation)) {
      throw new AwsError(
        "LabUnknownOperation",
        `The lab does not know ${service}:${operation}. If the program needs it, add it to lab/front/operations.ts and try it on moto.`,
      );
    }
    await this.parts.authorizer.check(call, asked);
    const rule = this.parts.rules[`${service}:${operation}`] ?? {};
    // Check, then act: one change at a time per service, or two calls would pass the same check.
    return isWrite(service, operation)
      ? this.inTurn(turnOf(call), () => this.apply(call, rule))
      : this.apply(call, rule);
  }

  private async apply(call: Call, rule: Rule): Promise<Answer> {
    const { context, moto } = this.parts;
    const { operation } = call;
    // Tags are given in the same form by every EC2 call that creates something.
    if (call.service === "ec2") {
      for (const one of call.params.items("TagSpecification"))
        checkTags(one.items("Tag"), call.caller);
      if (call.operation === "CreateTags") checkTags(call.params.items("Tag"), call.caller);
    }
    if (rule.instead !== undefined) return rule.instead(call, context);
    const changed = await rule.before?.(call, context);
    const ready = withPlainBody(changed === undefined ? call : { ...call, params: changed });
    const answer = understandable(call, await moto.forward(ready, changed !== undefined));
    if (answer.status === 404 && (operation === "GetObject" || operation === "HeadObject")) {
      await this.hideAbsence(call);
    }
    return rule.after === undefined || answer.status >= 400
      ? answer
      : rule.after(answer, ready, context);
  }

  /** Who may not list a bucket does not learn that an object is not there. */
  private async hideAbsence(call: Call): Promise<void> {
    if (await this.parts.authorizer.mayTellAbsence(call)) return;
    throw deniedError("s3", "Access Denied");
  }

  private async inTurn<Result>(turn: string, action: () => Promise<Result>): Promise<Result> {
    const before = this.turns.get(turn) ?? Promise.resolve();
    const own = before.then(action, action);
    this.turns.set(turn, own);
    try {
      return await own;
    } finally {
      if (this.turns.get(turn) === own) this.turns.delete(turn);
    }
  }
}

/** What a change has to itself: its service; in S3, the object, whose conditional puts must not overlap. */
function turnOf({ service, params }: Call): string {
  // A balancer chooses addresses as interfaces do: in turns of their own both would find the same one free.
  if (service === "elasticloadbalancing") return "ec2";
  const key = params.text("Key");
  return service === "s3" && key !== undefined
    ? `s3/${params.text("Bucket") ?? ""}/${key}`
    : service;
}

/** moto answers a call it chokes on with a page of HTML, which no SDK can read. */
function understandable(call: Call, answer: Answer): Answer {
  const isPage = /^<(!doctype )?html/i.test(answer.body.toString("latin1", 0, 20));
  if (answer.status < 500 && !isPage) return answer;
  const text = answer.body
    .toString()
    .replace(/<[^>]*>/g, " ")
    .replace(/\s+/g, " ")
    .slice(0, 300);
  throw new AwsError(
    "InternalFailure",
    `moto could not answer ${call.service}:${call.operation} (a parameter missing or unknown to it?): ${text}`,
    500,
  );
}

/** moto reads aws-chunked bodies in some forms only, so it gets plain ones, with the trailing checksum as a header. */
function withPlainBody(call: Call): Call {
  const { request } = call;
  const declared = String(request.headers["x-amz-content-sha256"] ?? "");
  if (call.service !== "s3" || !declared.startsWith("STREAMING-")) return call;
  let plain;
  try {
    plain = dechunk(request.body);
  } catch (error) {
    throw new AwsError("IncompleteBody", error instanceof Error ? error.message : String(error));
  }
  const length = request.headers["x-amz-decoded-content-length"];
  if (length !== undefined && Number(length) !== plain.body.length) {
    throw new AwsError(
      "IncompleteBody",
      `The body has ${plain.body.length} bytes, x-amz-decoded-content-length says ${String(length)}.`,
    );
  }
  const headers = { ...request.headers, ...plain.trailers };
  delete headers["x-amz-content-sha256"];
  delete headers["x-amz-decoded-content-length"];
  delete headers["x-amz-trailer"];
  const encoding = (headers["content-encoding"] ?? "")
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "" && part !== "aws-chunked")
    .join(",");
  delete headers["content-encoding"];
  if (encoding !== "") headers["content-encoding"] = encoding;
  return { ...call, request: { ...request, headers, body: plain.body } };
}
