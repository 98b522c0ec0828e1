import { connectEngine } from "./engineLog.ts";
import { messageOf } from "./errors.ts";
import { grpc, providerGrpc } from "./proto.ts";
import type { ProviderDefinition } from "./resource.ts";
import { ProviderService } from "./service.ts";

/** Pulumi's own limit for one message. */
const maxMessageBytes = 400 * 1024 * 1024;

/**
 * Serves a provider on a free loopback port and prints the port, which is how Pulumi finds a plugin it has started. Pulumi stops it by
 * a signal, and what it has created must not depend on this process.
 */
export async function serve<E>(definition: ProviderDefinition<E>): Promise<number> {
  const server = new grpc.Server({
    "grpc.max_receive_message_length": maxMessageBytes,
    "grpc.max_send_message_length": maxMessageBytes,
  });
  const service = new ProviderService(definition, connectEngine(engineAddress(process.argv)));
  server.addService(providerGrpc.ResourceProviderService, service.methods());
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) {
        resolve(port);
      } else {
        reject(error);
      }
    });
  });
}

/** Serves a provider for the Pulumi process that started this one. */
export async function main<E>(definition: ProviderDefinition<E>): Promise<void> {
  // A broken connection deep in a library must not take down a provider that has other operations under way.
  process.on("uncaughtException", (error) => {
    process.stderr.write(`${messageOf(error)}\n`);
  });
  process.stdout.write(`${await serve(definition)}\n`);
}

/** The engine's address is the one argument that is no option and no option's value. */
function engineAddress(argv: readonly string[]): string | undefined {
  return argv.slice(2).find((argument) => /^[\w.-]+:\d+$/.test(argument));
}
