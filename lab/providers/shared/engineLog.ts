import { engine, engineGrpc, grpc } from "./proto.ts";

/** Where handlers' messages go: Pulumi's own output. */
export interface EngineLog {
  write(
    severity: "debug" | "info" | "warning" | "error",
    message: string,
    urn: string,
    ephemeral: boolean,
  ): void;
}

/** Sends messages to the engine at this address. A message that cannot be delivered is dropped: logging must not fail an operation. */
export function connectEngine(address: string | undefined): EngineLog {
  if (address === undefined) {
    return { write: () => undefined };
  }
  const client = new engineGrpc.EngineClient(address, grpc.credentials.createInsecure());
  const severities = {
    debug: engine.LogSeverity.DEBUG,
    info: engine.LogSeverity.INFO,
    warning: engine.LogSeverity.WARNING,
    error: engine.LogSeverity.ERROR,
  };
  return {
    write(severity, message, urn, ephemeral) {
      const request = new engine.LogRequest();
      request.setSeverity(severities[severity]);
      request.setMessage(message);
      request.setUrn(urn);
      request.setEphemeral(ephemeral);
      client.log(request, () => undefined);
    },
  };
}
