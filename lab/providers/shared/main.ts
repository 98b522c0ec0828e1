import { connectEngine } from "./engineLog.ts";
import { messageOf } from "./errors.ts";
import { grpc, providerGrpc } from "./proto.ts";
import type { ProviderDefinition } from "./resource.ts";
import { ProviderService } from "./service.ts";

/** Pulumi's own limit for one message. */
const maxMessageBytes = 400 * 1024 * 1024;

/** A provider that can be called. */
export interface Serving {
  /** Loopback port. */
  readonly port: number;
  readonly stop: () => void;
}

/**
 * Serves a provider on a free loopback port, with messages going to the engine at this address.
 */
export async function serve<E>(
  definition: ProviderDefinition<E>,
  engineAddress: string | undefined,
): Promise<Serving> {
  const server = new grpc.Server({
    "grpc.max_receive_message_length": maxMessageBytes,
    "grpc.max_send_message_length": maxMessageBytes,
  });
  const service = new ProviderService(definition, connectEngine(engineAddress));
  server.addService(providerGrpc.ResourceProviderService, service.methods());
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) {
        resolve({
          port,
          stop: () => {
            server.forceShutdown();
          },
        });
      } else {
        reject(error);
      }
    });
  });
}

/**
 * Serves a provider for the Pulumi process that started this one, and prints the port, which is how Pulumi finds it. Pulumi ends it by
 * a signal; nothing that it has created may depend on this process.
 */
export async function main<E>(definition: ProviderDefinition<E>): Promise<void> {
  // A broken connection deep in a library must not take down a provider that has other operations under way.
  process.on("uncaughtException", (error) => {
    process.stderr.write(`${messageOf(error)}\n`);
  });
  exitWithParent();
  const { port } = await serve(definition, engineAddressOf(process.argv));
  process.stdout.write(`${port}\n`);
}

/** A killed engine cannot stop its plugins; they notice that they have another parent. */
function exitWithParent(): void {
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) {
      process.exit(0);
    }
  }, 1000).unref();
}

/** The engine's address is the one argument that is no option and no option's value. */
function engineAddressOf(argv: readonly string[]): string | undefined {
  return argv.slice(2).find((argument) => /^[\w.-]+:\d+$/.test(argument));
}
