import type { ClientUnaryCall, ServiceError } from "@grpc/grpc-js";

import { serve } from "../../lab/providers/shared/main.ts";
import { grpc, provider as proto, providerGrpc, status } from "../../lab/providers/shared/proto.ts";
import type { ProviderDefinition } from "../../lab/providers/shared/resource.ts";
import type { Value, Values } from "../../lab/providers/shared/value.ts";
import { fromWire, toWire } from "../../lab/providers/shared/wire.ts";

/** A created or updated resource, as Pulumi would keep it. */
export interface Kept {
  readonly id: string;
  readonly inputs: Values;
  readonly state: Values;
}

/** What a diff said. */
export interface Difference {
  readonly changed: boolean;
  readonly replaces: readonly string[];
  readonly deleteBeforeReplace: boolean;
  readonly details: Readonly<Record<string, string>>;
}

/** The half-made resource in an error's details. */
export interface HalfMade {
  readonly id: string;
  readonly state: Values;
  readonly reasons: readonly string[];
}

type Callback<T> = (error: ServiceError | null, response: T) => void;

/** Talks to a provider as Pulumi does: over gRPC, with checked arguments. */
export class ProviderClient {
  private readonly grpc: InstanceType<typeof providerGrpc.ResourceProviderClient>;
  private readonly stopServer: () => void;

  private constructor(port: number, stopServer: () => void) {
    this.grpc = new providerGrpc.ResourceProviderClient(
      `127.0.0.1:${port}`,
      grpc.credentials.createInsecure(),
    );
    this.stopServer = stopServer;
  }

  /** Serves and configures a provider. */
  static async start<E>(
    definition: ProviderDefinition<E>,
    config: Values = {},
    engineAddress?: string,
  ): Promise<ProviderClient> {
    const { port, stop } = await serve(definition, engineAddress);
    const client = new ProviderClient(port, stop);
    const request = new proto.ConfigureRequest().setArgs(toWire(config));
    try {
      await promise((callback) => client.grpc.configure(request, callback));
    } catch (error) {
      client.stop();
      throw error;
    }
    return client;
  }

  stop(): void {
    this.grpc.close();
    this.stopServer();
  }

  /** Checked arguments; throws the failures. */
  async check(type: string, news: Values, olds: Values = {}, name = "it"): Promise<Values> {
    const request = new proto.CheckRequest()
      .setUrn(urn(type, name))
      .setNews(toWire(news))
      .setOlds(toWire(olds));
    const response = await promise<InstanceType<typeof proto.CheckResponse>>((callback) =>
      this.grpc.check(request, callback),
    );
    const failures = response.getFailuresList();
    if (failures.length > 0) {
      throw new Error(failures.map((failure) => failure.getReason()).join("\n"));
    }
    return fromWire(response.getInputs());
  }

  /** Checks, then creates; with `preview` nothing is made and the id is empty. */
  async create(
    type: string,
    args: Values,
    options: { preview?: boolean; name?: string } = {},
  ): Promise<Kept> {
    const inputs = await this.check(type, args, {}, options.name);
    const request = new proto.CreateRequest()
      .setUrn(urn(type, options.name ?? "it"))
      .setProperties(toWire(inputs))
      .setPreview(options.preview ?? false);
    const response = await promise<InstanceType<typeof proto.CreateResponse>>((callback) =>
      this.grpc.create(request, callback),
    );
    return { id: response.getId(), inputs, state: fromWire(response.getProperties()) };
  }

  /** What other arguments would change. */
  async diff(type: string, kept: Kept, args: Values, ignored: string[] = []): Promise<Difference> {
    const news = await this.check(type, args, kept.inputs);
    const request = new proto.DiffRequest()
      .setUrn(urn(type, "it"))
      .setId(kept.id)
      .setOlds(toWire(kept.state))
      .setOldInputs(toWire(kept.inputs))
      .setNews(toWire(news))
      .setIgnorechangesList(ignored);
    const response = await promise<InstanceType<typeof proto.DiffResponse>>((callback) =>
      this.grpc.diff(request, callback),
    );
    const kinds = Object.entries(proto.PropertyDiff.Kind);
    const details: Record<string, string> = {};
    response.getDetaileddiffMap().forEach((detail, path) => {
      details[path] = kinds.find(([, kind]) => kind === detail.getKind())?.[0] ?? "";
    });
    return {
      changed: response.getChanges() === proto.DiffResponse.DiffChanges.DIFF_SOME,
      replaces: response.getReplacesList(),
      deleteBeforeReplace: response.getDeletebeforereplace(),
      details,
    };
  }

  /** Checks, then updates. */
  async update(
    type: string,
    kept: Kept,
    args: Values,
    options: { preview?: boolean } = {},
  ): Promise<Kept> {
    const inputs = await this.check(type, args, kept.inputs);
    const request = new proto.UpdateRequest()
      .setUrn(urn(type, "it"))
      .setId(kept.id)
      .setOlds(toWire(kept.state))
      .setOldInputs(toWire(kept.inputs))
      .setNews(toWire(inputs))
      .setPreview(options.preview ?? false);
    const response = await promise<InstanceType<typeof proto.UpdateResponse>>((callback) =>
      this.grpc.update(request, callback),
    );
    return { id: kept.id, inputs, state: fromWire(response.getProperties()) };
  }

  /** What is there now; undefined when it is gone. Without inputs and state it is an import. */
  async read(
    type: string,
    kept: { id: string; inputs?: Values; state?: Values },
  ): Promise<Kept | undefined> {
    const request = new proto.ReadRequest()
      .setUrn(urn(type, "it"))
      .setId(kept.id)
      .setInputs(toWire(kept.inputs ?? {}))
      .setProperties(toWire(kept.state ?? {}));
    const response = await promise<InstanceType<typeof proto.ReadResponse>>((callback) =>
      this.grpc.read(request, callback),
    );
    return response.getId() === ""
      ? undefined
      : {
          id: response.getId(),
          inputs: fromWire(response.getInputs()),
          state: fromWire(response.getProperties()),
        };
  }

  async delete(type: string, kept: Kept): Promise<void> {
    const request = new proto.DeleteRequest()
      .setUrn(urn(type, "it"))
      .setId(kept.id)
      .setProperties(toWire(kept.state));
    await promise((callback) => this.grpc.delete(request, callback));
  }

  async invoke(token: string, args: Values): Promise<Record<string, Value>> {
    const request = new proto.InvokeRequest().setTok(token).setArgs(toWire(args));
    const response = await promise<InstanceType<typeof proto.InvokeResponse>>((callback) =>
      this.grpc.invoke(request, callback),
    );
    const failures = response.getFailuresList();
    if (failures.length > 0) {
      throw new Error(failures.map((failure) => failure.getReason()).join("\n"));
    }
    return fromWire(response.getReturn());
  }
}

/** The resource inside an error that says that it was made but is not usable. */
export function halfMade(error: unknown): HalfMade | undefined {
  const [bytes] = (error as ServiceError).metadata.get("grpc-status-details-bin");
  if (!Buffer.isBuffer(bytes)) {
    return undefined;
  }
  const [packed] = status.Status.deserializeBinary(bytes).getDetailsList();
  const failure = proto.ErrorResourceInitFailed.deserializeBinary(
    packed?.getValue_asU8() ?? new Uint8Array(),
  );
  return {
    id: failure.getId(),
    state: fromWire(failure.getProperties()),
    reasons: failure.getReasonsList(),
  };
}

function urn(type: string, name: string): string {
  return `urn:pulumi:test::test::some:index:Parent$${type}::${name}`;
}

function promise<T>(call: (callback: Callback<T>) => ClientUnaryCall): Promise<T> {
  return new Promise((resolve, reject) => {
    call((error, response) => {
      if (error === null) {
        resolve(response);
      } else {
        reject(error);
      }
    });
  });
}
