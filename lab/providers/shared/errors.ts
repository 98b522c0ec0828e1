import { any, grpc, provider, status } from "./proto.ts";
import type { Values } from "./value.ts";
import { toWire } from "./wire.ts";

/** The resource exists but did not become usable: Pulumi keeps it, with its outputs, and reports the reasons. */
export class InitFailed extends Error {
  readonly id: string;
  readonly outputs: Values;
  constructor(id: string, outputs: Values, reason: string) {
    super(reason);
    this.id = id;
    this.outputs = outputs;
  }
}

/** An error for the user, without a stack. */
export class UserError extends Error {}

/** The text of anything thrown. */
export function messageOf(error: unknown): string {
  // The user's own interruption is called by its name.
  if (error instanceof Error && error.name === "AbortError") {
    return "interrupted";
  }
  return error instanceof Error ? error.message : String(error);
}

/** A gRPC error as Pulumi understands it; a half-made resource travels in the status details. */
export function toStatus(error: unknown): Partial<import("@grpc/grpc-js").StatusObject> {
  const message = messageOf(error);
  const metadata = new grpc.Metadata();
  if (error instanceof InitFailed) {
    const failure = new provider.ErrorResourceInitFailed();
    failure.setId(error.id);
    failure.setProperties(toWire(error.outputs));
    failure.setReasonsList([message]);
    const packed = new any.Any();
    packed.pack(failure.serializeBinary(), "pulumirpc.ErrorResourceInitFailed");
    const details = new status.Status();
    details.setCode(grpc.status.UNKNOWN);
    details.setMessage(message);
    details.addDetails(packed);
    metadata.add("grpc-status-details-bin", Buffer.from(details.serializeBinary()));
  }
  return { code: grpc.status.UNKNOWN, details: message, metadata };
}
