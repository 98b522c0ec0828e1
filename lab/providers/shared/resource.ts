import type { Fields, InputsOf, Problem } from "./schema.ts";
import type { Values } from "./value.ts";

/** What a handler may use while it works. `E` is what the provider's configuration became, for instance its API clients. */
export interface Context<E> {
  readonly environment: E;
  readonly urn: string;
  /** The resource's logical name. */
  readonly name: string;
  /** The user's customTimeouts, or 0. */
  readonly timeoutSeconds: number;
  /** Aborted when the user interrupts Pulumi: waiting ends, nothing is undone. */
  readonly signal: AbortSignal;
  /** A line that stays in Pulumi's output. */
  log(severity: "debug" | "info" | "warning" | "error", message: string): void;
  /** A line beside the resource while it is worked on; the next one overwrites it. */
  progress(message: string): void;
}

/** What a create call achieved. */
export interface Created {
  readonly id: string;
  /** Outputs beside the arguments, or instead of them where the API says otherwise. */
  readonly outputs: Values;
}

/** What an update has to go by. */
export interface Update<F extends Fields> {
  readonly id: string;
  readonly olds: InputsOf<F>;
  readonly news: InputsOf<F>;
  /** Arguments and outputs as of the last operation. */
  readonly state: Values;
  /** Names of the arguments that differ; empty when only an earlier failure is made up for. */
  readonly changed: ReadonlySet<string>;
}

/** How names are made where the program gives none. */
export interface Autoname {
  /** The argument that holds the name. */
  readonly field: string;
  readonly maxLength: number;
  readonly lowerCase?: boolean;
  /** In front of the logical name. */
  readonly prefix?: string;
}

/** A need to replace or update that does not show in the arguments. */
export interface HiddenChange {
  readonly replaces: boolean;
  readonly paths: readonly string[];
}

/** One resource type. */
export interface Resource<E, F extends Fields = Fields> {
  /** Pulumi's type token. */
  readonly type: string;
  readonly fields: F;
  /** Outputs that exist only after creation. */
  readonly computed: readonly string[];
  /** Outputs that are always secret. */
  readonly secretOutputs?: readonly string[];
  readonly autoname?: Autoname;
  /** The old one goes first, because both cannot exist at once. */
  readonly deleteBeforeReplace?: boolean;

  /** Rules over several arguments. Any value may still be unknown. */
  validate?(inputs: Values): Problem[];
  /** Arguments with AWS's defaults or canonical forms filled in; before anything is compared. */
  normalize?(inputs: Values): Values;
  /** Outputs that follow from the arguments and are therefore known in a preview. */
  foresee?(inputs: Values, environment: E): Values;
  /** Outputs that these changes make unknown until they are carried out. */
  unsettles?(changed: ReadonlySet<string>): readonly string[];
  /** Changes that the arguments do not show. */
  hiddenChange?(state: Values, news: Values, environment: E): HiddenChange | undefined;

  create(inputs: InputsOf<F>, context: Context<E>): Promise<Created>;
  /** Waits until it is usable. If that fails, the resource is kept in the state with the error, as a created one. */
  settle?(id: string, outputs: Values, context: Context<E>): Promise<Values>;
  /** The outputs as they are now; undefined when it is gone. */
  read?(id: string, state: Values, context: Context<E>): Promise<Values | undefined>;
  update?(update: Update<F>, context: Context<E>): Promise<Values>;
  delete(id: string, state: Values, context: Context<E>): Promise<void>;
}

/** A function of the provider that creates nothing. */
export interface Invoke<E, F extends Fields = Fields> {
  readonly token: string;
  readonly fields: F;
  call(inputs: InputsOf<F>, environment: E): Promise<Values>;
}

/** A provider: its configuration, its resource types, its functions. */
export interface ProviderDefinition<E> {
  readonly name: string;
  readonly version: string;
  readonly config: Fields;
  /** Turns the configuration into what handlers use. Must not call any API. */
  configure(config: Values): E;
  readonly resources: readonly AnyResource<E>[];
  readonly invokes: readonly AnyInvoke<E>[];
}

/** A resource type whose fields the caller does not know; only `define` makes one. */
export type AnyResource<E> = Resource<E> & { readonly sealed: true };

/** An invoke whose fields the caller does not know; only `defineInvoke` makes one. */
export type AnyInvoke<E> = Invoke<E> & { readonly sealed: true };

/**
 * Declares a resource type. The fields' types are forgotten here, and may be: every value passes `check` with exactly these fields
 * before a handler sees it.
 */
export function define<E, F extends Fields>(resource: Resource<E, F>): AnyResource<E> {
  return { ...resource, sealed: true } as unknown as AnyResource<E>;
}

/** Declares an invoke; see `define`. */
export function defineInvoke<E, F extends Fields>(invoke: Invoke<E, F>): AnyInvoke<E> {
  return { ...invoke, sealed: true } as unknown as AnyInvoke<E>;
}
