import { InitFailed, messageOf } from "./errors.ts";
import { withName, wasNamed, withoutBookkeeping } from "./names.ts";
import { changedArguments, compare, type Change } from "./diff.ts";
import type { AnyResource, Context, Created } from "./resource.ts";
import { check, type Problem } from "./schema.ts";
import { equal, markSecrets, revealAll, Secret, unknown, type Values } from "./value.ts";

/** What came out of checking a resource's arguments. */
export interface CheckOutcome {
  readonly inputs: Values;
  readonly problems: readonly Problem[];
}

/** What would have to happen to a resource. */
export interface DiffOutcome {
  readonly changes: readonly Change[];
  readonly replaces: readonly string[];
  readonly changed: boolean;
  readonly deleteBeforeReplace: boolean;
}

/** Checks and completes arguments. */
export function checkResource<E>(
  resource: AnyResource<E>,
  logicalName: string,
  olds: Values,
  news: Values,
  seed: Uint8Array,
): CheckOutcome {
  const { values, problems } = check(resource.type, resource.fields, withoutBookkeeping(news));
  const normal = resource.normalize?.(values) ?? values;
  const named =
    resource.autoname === undefined
      ? normal
      : withName(resource.autoname, logicalName, olds, normal, seed);
  // Rules over several arguments would only repeat what is wrong with a single one.
  const more = problems.length > 0 ? [] : (resource.validate?.(revealAll(named)) ?? []);
  return { inputs: named, problems: [...problems, ...more] };
}

/** Compares arguments as they were with arguments as they shall be. */
export function diffResource<E>(
  resource: AnyResource<E>,
  olds: Values,
  state: Values,
  news: Values,
  ignored: readonly string[],
  environment: E,
): DiffOutcome {
  const isIgnored = ({ path }: Change) =>
    ignored.some((prefix) => path === prefix || /^[.[]/.test(tail(path, prefix)));
  const changes = compare(
    resource.fields,
    withoutBookkeeping(olds),
    withoutBookkeeping(news),
  ).filter((change) => !isIgnored(change));
  const hidden = resource.hiddenChange?.(revealAll(state), revealAll(news), environment);
  const replaces = changedArguments(changes.filter((change) => change.replaces));
  if (hidden?.replaces === true) {
    replaces.push(...hidden.paths);
  }
  return {
    changes,
    replaces,
    changed: changes.length > 0 || hidden !== undefined,
    deleteBeforeReplace:
      replaces.length > 0 &&
      (resource.deleteBeforeReplace === true || keepsName(resource, olds, news)),
  };
}

/** Two resources cannot bear one name at a time; a name that was made up here changes with the replacement. */
function keepsName<E>(resource: AnyResource<E>, olds: Values, news: Values): boolean {
  const { autoname } = resource;
  return (
    autoname !== undefined &&
    !wasNamed(autoname, news) &&
    equal(olds[autoname.field], news[autoname.field])
  );
}

function tail(path: string, prefix: string): string {
  return path.startsWith(prefix) ? path.slice(prefix.length) : "";
}

/** What the state will look like, as far as that can be known before the resource exists. */
export function foreseeCreate<E>(resource: AnyResource<E>, inputs: Values, environment: E): Values {
  const plain = revealAll(withoutBookkeeping(inputs));
  const computed = Object.fromEntries(resource.computed.map((key) => [key, unknown]));
  const outputs = { ...computed, ...plain, ...resource.foresee?.(plain, environment) };
  return finish(resource, outputs, inputs);
}

/** What the state will look like after an update, as far as that can be known. */
export function foreseeUpdate<E>(
  resource: AnyResource<E>,
  olds: Values,
  state: Values,
  news: Values,
  environment: E,
): Values {
  const plain = revealAll(withoutBookkeeping(news));
  const changes = compare(resource.fields, withoutBookkeeping(olds), plain);
  const unsettled = resource.unsettles?.(new Set(changedArguments(changes))) ?? [];
  const outputs = {
    ...without(revealAll(state), removed(olds, news)),
    ...plain,
    ...resource.foresee?.(plain, environment),
    ...Object.fromEntries(unsettled.map((key) => [key, unknown])),
  };
  return finish(resource, outputs, news);
}

/** Creates, then waits. */
export async function createResource<E>(
  resource: AnyResource<E>,
  inputs: Values,
  context: Context<E>,
): Promise<{ id: string; outputs: Values }> {
  const plain = revealAll(withoutBookkeeping(inputs));
  const foreseen = { ...plain, ...resource.foresee?.(plain, context.environment) };
  let created: Created;
  try {
    created = await resource.create(plain, context);
  } catch (error) {
    throw error instanceof InitFailed
      ? new InitFailed(
          error.id,
          finish(resource, { ...foreseen, ...error.outputs }, inputs),
          error.message,
        )
      : error;
  }
  const outputs = { ...foreseen, ...created.outputs };
  return { id: created.id, outputs: await settled(resource, created.id, outputs, inputs, context) };
}

/** Updates, then waits. */
export async function updateResource<E>(
  resource: AnyResource<E>,
  id: string,
  olds: Values,
  state: Values,
  news: Values,
  context: Context<E>,
): Promise<Values> {
  const before = revealAll(withoutBookkeeping(olds));
  const plain = revealAll(withoutBookkeeping(news));
  const changed = new Set(changedArguments(compare(resource.fields, before, plain)));
  const oldState = revealAll(state);
  const updated = await resource.update?.(
    { id, olds: before, news: plain, state: oldState, changed },
    context,
  );
  const outputs = {
    ...without(oldState, removed(before, plain)),
    ...plain,
    ...resource.foresee?.(plain, context.environment),
    ...updated,
  };
  return settled(resource, id, outputs, news, context);
}

async function settled<E>(
  resource: AnyResource<E>,
  id: string,
  outputs: Values,
  inputs: Values,
  context: Context<E>,
): Promise<Values> {
  try {
    const more = await resource.settle?.(id, outputs, context);
    return finish(resource, { ...outputs, ...more }, inputs);
  } catch (error) {
    throw new InitFailed(id, finish(resource, outputs, inputs), messageOf(error));
  }
}

/**
 * Reads what is there now. The arguments follow the facts only where these have changed since the last look, so that what AWS merely
 * words differently (a policy's white space, a default) is not taken for a change.
 */
export async function readResource<E>(
  resource: AnyResource<E>,
  id: string,
  state: Values,
  inputs: Values,
  context: Context<E>,
): Promise<{ inputs: Values; outputs: Values } | undefined> {
  // An adopted resource comes with the arguments it was to be made with and no state; an imported one with nothing at all.
  const adopting = Object.keys(state).length === 0;
  const before = revealAll(adopting ? inputs : state);
  const now = resource.read === undefined ? before : await resource.read(id, before, context);
  if (now === undefined) {
    return undefined;
  }
  const importing = adopting && Object.keys(inputs).length === 0;
  const drifted = new Map(Object.entries(inputs));
  for (const key of Object.keys(resource.fields)) {
    const value = now[key];
    // What the program left to AWS is an output only; what AWS makes of it is no change of an argument.
    const ownChoice = inputs[key] === undefined && resource.computed.includes(key);
    const changed = importing
      ? (value ?? null) !== null
      : key in now && !ownChoice && !equal(before[key], value);
    if (!changed) {
      continue;
    }
    if (value === undefined || value === null) {
      drifted.delete(key);
    } else {
      drifted.set(key, markSecrets(value, inputs[key]));
    }
  }
  const current = Object.fromEntries(drifted);
  const foreseen = adopting ? resource.foresee?.(before, context.environment) : {};
  const outputs = finish(resource, { ...before, ...foreseen, ...now }, current);
  return { inputs: importing ? withSecrets(resource, current) : current, outputs };
}

/** The outputs as they are stored: secret where the arguments are or the type says so, without what is not there or must not be stored. */
function finish<E>(resource: AnyResource<E>, outputs: Values, inputs: Values): Values {
  const stored = Object.fromEntries(
    Object.entries(outputs).filter(
      ([key, value]) => value !== null && resource.fields[key]?.writeOnly !== true,
    ),
  );
  const marked = Object.fromEntries(
    Object.entries(stored).map(([key, value]) => [key, markSecrets(value, inputs[key])]),
  );
  return withSecrets(resource, marked);
}

function withSecrets<E>(resource: AnyResource<E>, values: Values): Values {
  const secret = new Set(resource.secretOutputs);
  return Object.fromEntries(
    Object.entries(values).map(([key, value]) => [
      key,
      secret.has(key) && !(value instanceof Secret) ? new Secret(value) : value,
    ]),
  );
}

function removed(olds: Values, news: Values): Set<string> {
  return new Set(Object.keys(olds).filter((key) => news[key] === undefined));
}

function without(values: Values, keys: ReadonlySet<string>): Values {
  return Object.fromEntries(Object.entries(values).filter(([key]) => !keys.has(key)));
}
