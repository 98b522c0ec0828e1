import type { Answer, RawRequest } from "../front/call.ts";
import { AwsError, renderError } from "../front/errors.ts";
import { readSignature } from "../front/signature.ts";

/** S3 having a bad day, for some machines or for all: it answers, and refuses. The host's own calls are never touched. */
export class Refusals {
  #addresses: ReadonlySet<string> | "all" = new Set();

  /** From now on S3 refuses these addresses, or everybody; an empty list ends it. */
  set(addresses: readonly string[] | "all"): void {
    this.#addresses = addresses === "all" ? "all" : new Set(addresses);
  }

  /** The refusal of a request, or undefined when it may go on. */
  answer(request: RawRequest): Answer | undefined {
    if (!request.fromMachine || !this.#concerns(request.sourceAddress)) return undefined;
    if (readSignature(request)?.service !== "s3") return undefined;
    return renderError(
      "s3",
      new AwsError("ServiceUnavailable", "Please reduce your request rate.", 503),
    );
  }

  #concerns(address: string | undefined): boolean {
    if (this.#addresses === "all") return true;
    return address !== undefined && this.#addresses.has(address);
  }
}
