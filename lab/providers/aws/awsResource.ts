import { InitFailed, messageOf } from "../shared/errors.ts";
import {
  define,
  type AnyResource,
  type Context,
  type HiddenChange,
  type Resource,
  type Update,
} from "../shared/resource.ts";
import { map, text, type Fields, type InputsOf } from "../shared/schema.ts";
import { equal, isMap, unknown, Unknown, type Value, type Values } from "../shared/value.ts";
import type { Aws } from "./environment.ts";
import { codeOf, unlessMissing, whileBusy } from "./waiting.ts";

/** Outputs as AWS's clients give them; undefined means that there is no such thing. */
export type Loose = Readonly<Record<string, Value | undefined>>;

/** Tags, as a map. */
export type Tags = Readonly<Record<string, string>>;

/** What a handler works with. */
export interface Call {
  readonly aws: Aws;
  /** The resource's tags and the provider's default tags. */
  readonly tags: Tags;
  readonly context: Context<Aws>;
}

/** Tags to put on and to take off. */
export interface TagChange {
  readonly set: Tags;
  readonly unset: readonly string[];
}

type Retag = (aws: Aws, id: string, change: TagChange, state: Values) => Promise<void>;

/** An AWS resource type. Its outputs come from `read`, which is also asked after every creation and update. */
export interface AwsResource<F extends Fields> extends Pick<
  Resource<Aws, F>,
  | "type"
  | "fields"
  | "computed"
  | "autoname"
  | "secretOutputs"
  | "deleteBeforeReplace"
  | "validate"
  | "normalize"
  | "unsettles"
  | "hiddenChange"
> {
  /** How its tags are changed; without it, it bears none. */
  readonly retag?: Retag;
  /** It belongs to no region. */
  readonly isGlobal?: boolean;
  /** Codes by which AWS says that it is gone. */
  readonly missing: readonly string[];
  /** Codes by which AWS says that something still hangs on it, and how long that may take, seconds. */
  readonly busy?: { readonly codes: readonly string[]; readonly seconds: number };

  create(inputs: InputsOf<F>, call: Call): Promise<string>;
  /** Waits until it can be used. */
  ready?(id: string, state: Values, call: Call): Promise<void>;
  /** What AWS says of it; undefined, or one of the `missing` errors, when it is gone. */
  read(id: string, state: Values, aws: Aws): Promise<Loose | undefined>;
  update?(update: Update<F>, call: Call): Promise<void>;
  remove(id: string, state: Values, call: Call): Promise<void>;
}

/** Makes a resource type of what is particular to it, adding what is alike in all: tags, errors, retries, reading back. */
export function awsResource<F extends Fields>(resource: AwsResource<F>): AnyResource<Aws> {
  const { retag } = resource;
  const fields = retag === undefined ? resource.fields : { ...resource.fields, tags: tagsField };
  const read = async (id: string, state: Values, aws: Aws): Promise<Values | undefined> => {
    const found = await unlessMissing(resource.missing, () => resource.read(id, state, aws));
    return found === undefined ? undefined : withOwnTags(found, state, aws);
  };
  const common: Resource<Aws> = {
    type: resource.type,
    fields,
    computed: resource.computed,
    ...pick(resource),
    foresee: (inputs, aws) => ({
      ...(resource.isGlobal === true ? {} : { region: aws.region }),
      ...(retag === undefined ? {} : { tagsAll: allTags(inputs, aws) }),
    }),
    hiddenChange: (state, news, aws) =>
      resource.hiddenChange?.(state, news, aws) ?? tagChange(retag, state, news, aws),
    create: async (inputs, context) => ({
      id: await described("creating", resource.type, () =>
        resource.create(inputs as InputsOf<F>, callOf(inputs as Values, context)),
      ),
      outputs: {},
    }),
    settle: async (id, outputs, context) => {
      await resource.ready?.(id, outputs, callOf(outputs, context));
      const now = await read(id, outputs, context.environment);
      if (now === undefined) {
        throw new Error(`${resource.type} ${id} vanished right after it was made`);
      }
      return now;
    },
    read: (id, state, context) => read(id, state, context.environment),
    update: async (update, context) => {
      const aws = context.environment;
      const call = callOf(update.news as Values, context);
      await described("updating", resource.type, async () => {
        await resource.update?.(update as unknown as Update<F>, call);
        const change = tagDifference(update.state, call.tags);
        if (retag !== undefined && change !== undefined) {
          await retag(aws, update.id, change, update.state);
        }
      });
      return {};
    },
    delete: async (id, state, context) => {
      const { codes, seconds } = resource.busy ?? { codes: [], seconds: 0 };
      const remove = () =>
        unlessMissing(resource.missing, () => resource.remove(id, state, callOf(state, context)));
      await described("deleting", `${resource.type} ${id}`, () =>
        whileBusy(codes, context, seconds, remove),
      );
    },
  };
  return define(common);
}

const tagsField = map(text());

function pick<F extends Fields>(resource: AwsResource<F>) {
  const { autoname, secretOutputs, deleteBeforeReplace, validate, normalize, unsettles } = resource;
  return {
    ...(autoname && { autoname }),
    ...(secretOutputs && { secretOutputs }),
    ...(deleteBeforeReplace && { deleteBeforeReplace }),
    ...(validate && { validate }),
    ...(normalize && { normalize }),
    ...(unsettles && { unsettles }),
  };
}

function callOf(inputs: Values, context: Context<Aws>): Call {
  const tags = allTags(inputs, context.environment);
  return { aws: context.environment, context, tags: tags as Tags };
}

/** The provider's default tags under the resource's own. */
function allTags(inputs: Values, aws: Aws): Value {
  const own = inputs["tags"];
  if (own instanceof Unknown) {
    return unknown;
  }
  return { ...aws.defaultTags, ...(isMap(own) ? own : {}) };
}

/** Changed default tags show in no argument. */
function tagChange(
  retag: Retag | undefined,
  state: Values,
  news: Values,
  aws: Aws,
): HiddenChange | undefined {
  const before = state["tagsAll"];
  return retag !== undefined && before !== undefined && !equal(before, allTags(news, aws))
    ? { replaces: false, paths: ["tagsAll"] }
    : undefined;
}

function tagDifference(state: Values, news: Tags): TagChange | undefined {
  const before = isMap(state["tagsAll"]) ? state["tagsAll"] : {};
  const set = Object.fromEntries(
    Object.entries(news).filter(([key, value]) => before[key] !== value),
  );
  const unset = Object.keys(before).filter((key) => !(key in news));
  return Object.keys(set).length === 0 && unset.length === 0 ? undefined : { set, unset };
}

/** Splits what is on the resource into its own tags and what comes from the provider's defaults. AWS's own tags are nobody's. */
function withOwnTags(found: Loose, state: Values, aws: Aws): Values {
  // What AWS does not have must be said, or a setting that was taken away would go unnoticed.
  const present = Object.fromEntries(
    Object.entries(found).map(([key, value]): [string, Value] => [key, value ?? null]),
  );
  const all = present["tagsAll"];
  if (!isMap(all)) {
    return present;
  }
  const declared = isMap(state["tags"]) ? state["tags"] : {};
  const visible = Object.entries(all).filter(([key]) => !key.startsWith("aws:"));
  const own = visible.filter(([key, value]) => key in declared || aws.defaultTags[key] !== value);
  return {
    ...present,
    tagsAll: Object.fromEntries(visible),
    ...(own.length === 0 && state["tags"] === undefined ? {} : { tags: Object.fromEntries(own) }),
  };
}

async function described<T>(doing: string, what: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (!(error instanceof Error) || !("$metadata" in error)) {
      throw error;
    }
    const { httpStatusCode } = error.$metadata as { httpStatusCode?: number };
    const status = httpStatusCode === undefined ? "" : ` (HTTP ${httpStatusCode})`;
    throw new Error(`${doing} ${what}: ${codeOf(error)}: ${error.message}${status}`, {
      cause: error,
    });
  }
}

/**
 * The further calls that a creation takes. When one fails the resource exists all the same: Pulumi keeps it, with the error, instead
 * of forgetting it.
 */
export async function completing(id: string, calls: () => Promise<unknown>): Promise<string> {
  try {
    await calls();
    return id;
  } catch (error) {
    throw new InitFailed(id, {}, `${codeOf(error)}: ${messageOf(error)}`);
  }
}

/** Text of a state or an argument that is known to be one. */
export function textOf(values: Values, key: string): string {
  const value = values[key];
  return typeof value === "string" ? value : "";
}

/** Texts of a state or an argument that is known to be a list of them. */
export function textsOf(values: Values, key: string): string[] {
  const value = values[key];
  return Array.isArray(value)
    ? value.filter((item): item is string => typeof item === "string")
    : [];
}

/** `[{Key, Value}]` as a map, for the output `tagsAll`. */
export function fromTagList(
  tags: readonly { Key?: string | undefined; Value?: string | undefined }[] | undefined,
): Tags {
  return Object.fromEntries((tags ?? []).map(({ Key, Value }) => [Key ?? "", Value ?? ""]));
}

/** A map as `[{Key, Value}]`. */
export function toTagList(tags: Tags): { Key: string; Value: string }[] {
  return Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
}

/** Members of two lists that are only in the second, and only in the first. */
export function difference(
  olds: readonly string[] = [],
  news: readonly string[] = [],
): { added: string[]; removed: string[] } {
  return {
    added: news.filter((item) => !olds.includes(item)),
    removed: olds.filter((item) => !news.includes(item)),
  };
}

/** The only element of an answer. */
export function single<T>(items: readonly T[] | undefined): T | undefined {
  return items?.[0];
}

/** Insists on a value that AWS always gives. */
export function given<T>(value: T | undefined, what: string): T {
  if (value === undefined) {
    throw new Error(`AWS did not say ${what}`);
  }
  return value;
}
