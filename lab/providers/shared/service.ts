import type { sendUnaryData, ServerUnaryCall, UntypedServiceImplementation } from "@grpc/grpc-js";

import { changedArguments, compare, type Change } from "./diff.ts";
import type { EngineLog } from "./engineLog.ts";
import { toStatus, UserError } from "./errors.ts";
import * as lifecycle from "./lifecycle.ts";
import { empty, pluginInfo, provider } from "./proto.ts";
import type { AnyResource, Context, ProviderDefinition } from "./resource.ts";
import { check, type Problem } from "./schema.ts";
import { hasUnknown, revealAll, type Value, type Values } from "./value.ts";
import { fromWire, toWire } from "./wire.ts";

type Message<K extends keyof typeof provider> = (typeof provider)[K] extends new () => infer M
  ? M
  : never;

/** Answers Pulumi's calls for one provider. */
export class ProviderService<E> {
  private readonly definition: ProviderDefinition<E>;
  private readonly engine: EngineLog;
  private readonly cancelled = new AbortController();
  private configuration: { readonly environment: E } | undefined;

  constructor(definition: ProviderDefinition<E>, engine: EngineLog) {
    this.definition = definition;
    this.engine = engine;
  }

  /** The methods by their names in Pulumi's protocol; what is missing answers "unimplemented", which Pulumi takes well. */
  methods(): UntypedServiceImplementation {
    return {
      handshake: unary(() => this.handshake()),
      getPluginInfo: unary(() => this.pluginInfo()),
      attach: unary(() => new empty.Empty()),
      cancel: unary(() => this.cancel()),
      checkConfig: unary((request: Message<"CheckRequest">) => this.checkConfig(request)),
      diffConfig: unary((request: Message<"DiffRequest">) => this.diffConfig(request)),
      configure: unary((request: Message<"ConfigureRequest">) => this.configure(request)),
      check: unary((request: Message<"CheckRequest">) => this.check(request)),
      diff: unary((request: Message<"DiffRequest">) => this.diff(request)),
      create: unary((request: Message<"CreateRequest">) => this.create(request)),
      read: unary((request: Message<"ReadRequest">) => this.read(request)),
      update: unary((request: Message<"UpdateRequest">) => this.update(request)),
      delete: unary((request: Message<"DeleteRequest">) => this.delete(request)),
      invoke: unary((request: Message<"InvokeRequest">) => this.invoke(request)),
    };
  }

  private handshake(): Message<"ProviderHandshakeResponse"> {
    return new provider.ProviderHandshakeResponse().setAcceptSecrets(true);
  }

  private pluginInfo() {
    const info = new pluginInfo.PluginInfo();
    info.setVersion(this.definition.version);
    return info;
  }

  private cancel() {
    this.cancelled.abort(new UserError("interrupted"));
    return new empty.Empty();
  }

  private checkConfig(request: Message<"CheckRequest">): Message<"CheckResponse"> {
    const news = fromWire(request.getNews());
    const { problems } = this.parseConfig(news);
    return checkResponse(news, problems);
  }

  private diffConfig(request: Message<"DiffRequest">): Message<"DiffResponse"> {
    const olds = fromWire(request.hasOldInputs() ? request.getOldInputs() : request.getOlds());
    const changes = compare(this.definition.config, olds, fromWire(request.getNews()));
    return diffResponse({
      changes,
      changed: changes.length > 0,
      replaces: changes.filter(({ replaces }) => replaces).map(({ path }) => path),
      deleteBeforeReplace: false,
    });
  }

  private configure(request: Message<"ConfigureRequest">): Message<"ConfigureResponse"> {
    const { values, problems } = this.parseConfig(fromWire(request.getArgs()));
    const [first] = problems;
    if (first !== undefined) {
      throw new UserError(first.reason);
    }
    this.configuration = { environment: this.definition.configure(revealAll(values)) };
    return new provider.ConfigureResponse().setAcceptsecrets(true).setSupportspreview(true);
  }

  /** Pulumi hands structured configuration over as JSON texts. */
  private parseConfig(values: Values) {
    const parsed = Object.entries(values)
      .filter(([key]) => !["version", "pluginDownloadURL", "__internal"].includes(key))
      .map(([key, value]) => {
        const kind = this.definition.config[key]?.kind;
        const structured = kind === "list" || kind === "map" || kind === "object";
        return [
          key,
          structured && typeof value === "string" ? parseJson(key, value) : value,
        ] as const;
      });
    return check(
      `provider ${this.definition.name}`,
      this.definition.config,
      Object.fromEntries(parsed),
    );
  }

  private check(request: Message<"CheckRequest">): Message<"CheckResponse"> {
    const resource = this.resourceOf(request.getUrn());
    const { inputs, problems } = lifecycle.checkResource(
      resource,
      nameOf(request.getUrn()),
      fromWire(request.getOlds()),
      fromWire(request.getNews()),
      request.getRandomseed_asU8(),
    );
    return checkResponse(inputs, problems);
  }

  private diff(request: Message<"DiffRequest">): Message<"DiffResponse"> {
    const state = fromWire(request.getOlds());
    const outcome = lifecycle.diffResource(
      this.resourceOf(request.getUrn()),
      request.hasOldInputs() ? fromWire(request.getOldInputs()) : state,
      state,
      fromWire(request.getNews()),
      request.getIgnorechangesList(),
      this.configured(),
    );
    return diffResponse(outcome);
  }

  private async create(request: Message<"CreateRequest">): Promise<Message<"CreateResponse">> {
    const resource = this.resourceOf(request.getUrn());
    const inputs = fromWire(request.getProperties());
    const context = this.context(request.getUrn(), request.getTimeout());
    const response = new provider.CreateResponse();
    if (request.getPreview()) {
      const outputs = lifecycle.foreseeCreate(resource, inputs, context.environment);
      return response.setProperties(toWire(outputs));
    }
    refuseUnknown(resource.type, inputs);
    const { id, outputs } = await lifecycle.createResource(resource, inputs, context);
    return response.setId(id).setProperties(toWire(outputs));
  }

  private async read(request: Message<"ReadRequest">): Promise<Message<"ReadResponse">> {
    const found = await lifecycle.readResource(
      this.resourceOf(request.getUrn()),
      request.getId(),
      fromWire(request.getProperties()),
      fromWire(request.getInputs()),
      this.context(request.getUrn(), 0),
    );
    const response = new provider.ReadResponse();
    // An empty answer tells Pulumi that the resource is gone.
    return found === undefined
      ? response
      : response
          .setId(request.getId())
          .setInputs(toWire(found.inputs))
          .setProperties(toWire(found.outputs));
  }

  private async update(request: Message<"UpdateRequest">): Promise<Message<"UpdateResponse">> {
    const resource = this.resourceOf(request.getUrn());
    const context = this.context(request.getUrn(), request.getTimeout());
    const state = fromWire(request.getOlds());
    const olds = request.hasOldInputs() ? fromWire(request.getOldInputs()) : state;
    const news = fromWire(request.getNews());
    const response = new provider.UpdateResponse();
    if (request.getPreview()) {
      const foreseen = lifecycle.foreseeUpdate(resource, olds, state, news, context.environment);
      return response.setProperties(toWire(foreseen));
    }
    refuseUnknown(resource.type, news);
    const outputs = await lifecycle.updateResource(
      resource,
      request.getId(),
      olds,
      state,
      news,
      context,
    );
    return response.setProperties(toWire(outputs));
  }

  private async delete(request: Message<"DeleteRequest">) {
    const resource = this.resourceOf(request.getUrn());
    const state = revealAll(fromWire(request.getProperties()));
    const context = this.context(request.getUrn(), request.getTimeout());
    await resource.delete(request.getId(), state, context);
    return new empty.Empty();
  }

  private async invoke(request: Message<"InvokeRequest">): Promise<Message<"InvokeResponse">> {
    const token = request.getTok();
    const invoke = this.definition.invokes.find((candidate) => candidate.token === token);
    if (invoke === undefined) {
      throw new UserError(`function ${token} is not known to the lab`);
    }
    const { values, problems } = check(token, invoke.fields, fromWire(request.getArgs()));
    const response = new provider.InvokeResponse();
    if (problems.length > 0) {
      return response.setFailuresList(problems.map(failure));
    }
    const result = await invoke.call(revealAll(values), this.configured());
    return response.setReturn(toWire(result));
  }

  private resourceOf(urn: string): AnyResource<E> {
    const type = typeOf(urn);
    const resource = this.definition.resources.find((candidate) => candidate.type === type);
    if (resource === undefined) {
      throw new UserError(
        `resource type ${type} (${nameOf(urn)}) is not known to the lab's provider ${this.definition.name}`,
      );
    }
    return resource;
  }

  private configured(): E {
    if (this.configuration === undefined) {
      throw new Error(`provider ${this.definition.name} is not configured`);
    }
    return this.configuration.environment;
  }

  private context(urn: string, timeoutSeconds: number): Context<E> {
    return {
      environment: this.configured(),
      urn,
      name: nameOf(urn),
      timeoutSeconds,
      signal: this.cancelled.signal,
      log: (severity, message) => {
        this.engine.write(severity, message, urn, false);
      },
      progress: (message) => {
        this.engine.write("info", message, urn, true);
      },
    };
  }
}

function unary<Request, Response>(
  answer: (request: Request) => Response | Promise<Response>,
): (call: ServerUnaryCall<Request, Response>, callback: sendUnaryData<Response>) => void {
  return (call, callback) => {
    // The wrapping function turns a synchronous throw into a rejection.
    void (async () => answer(call.request))().then(
      (response) => {
        callback(null, response);
      },
      (error: unknown) => {
        callback(toStatus(error));
      },
    );
  };
}

/** `urn:pulumi:<stack>::<project>::<parent types>$<type>::<name>` */
function typeOf(urn: string): string {
  return urn.split("::")[2]?.split("$").at(-1) ?? "";
}

function nameOf(urn: string): string {
  return urn.split("::").slice(3).join("::");
}

function parseJson(key: string, value: string): Value {
  try {
    return JSON.parse(value) as Value;
  } catch {
    throw new UserError(`provider configuration ${key} is not JSON`);
  }
}

function refuseUnknown(type: string, inputs: Values): void {
  const found = Object.entries(inputs).find(([, value]) => hasUnknown(value));
  if (found !== undefined) {
    throw new Error(`${type}: argument ${found[0]} is still unknown`);
  }
}

function failure({ path, reason }: Problem): Message<"CheckFailure"> {
  return new provider.CheckFailure().setProperty(path).setReason(reason);
}

function checkResponse(inputs: Values, problems: readonly Problem[]): Message<"CheckResponse"> {
  return new provider.CheckResponse()
    .setInputs(toWire(inputs))
    .setFailuresList(problems.map(failure));
}

function diffResponse(outcome: lifecycle.DiffOutcome): Message<"DiffResponse"> {
  const { DIFF_SOME, DIFF_NONE } = provider.DiffResponse.DiffChanges;
  const response = new provider.DiffResponse()
    .setChanges(outcome.changed ? DIFF_SOME : DIFF_NONE)
    .setReplacesList([...outcome.replaces])
    .setDiffsList(changedArguments(outcome.changes))
    .setDeletebeforereplace(outcome.deleteBeforeReplace)
    .setHasdetaileddiff(outcome.changes.length > 0);
  for (const change of outcome.changes) {
    const detail = new provider.PropertyDiff().setKind(kindOf(change)).setInputdiff(true);
    response.getDetaileddiffMap().set(change.path, detail);
  }
  return response;
}

function kindOf({ kind, replaces }: Change) {
  const kinds = provider.PropertyDiff.Kind;
  switch (kind) {
    case "add":
      return replaces ? kinds.ADD_REPLACE : kinds.ADD;
    case "delete":
      return replaces ? kinds.DELETE_REPLACE : kinds.DELETE;
    case "update":
      return replaces ? kinds.UPDATE_REPLACE : kinds.UPDATE;
  }
}
