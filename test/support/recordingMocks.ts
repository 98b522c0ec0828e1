import * as pulumi from "@pulumi/pulumi";
import { MockMonitor, type MockResourceArgs } from "@pulumi/pulumi/runtime/mocks";

/**
 * Mocks that record everything a program registers, its options included, and that refuse what they do not know: a resource type or
 * an invoke without an entry here fails the test instead of getting an answer that AWS might not give.
 */

/** One registration. */
export interface RecordedResource {
  readonly type: string;
  readonly name: string;
  readonly custom: boolean;
  readonly inputs: Readonly<Record<string, unknown>>;
  /** Inputs that were sent as secrets, by their path. */
  readonly secretInputs: readonly string[];
  readonly parent: string;
  /** Logical names of what it depends on. */
  readonly dependencies: readonly string[];
  /** The same with their types: `aws:autoscaling/group:Group etcd-m1`. */
  readonly typedDependencies: readonly string[];
  readonly ignoreChanges: readonly string[];
  readonly deleteBeforeReplace: boolean;
  readonly retainOnDelete: boolean;
}

/** One invoke. */
export interface RecordedCall {
  readonly token: string;
  readonly inputs: Readonly<Record<string, unknown>>;
}

/** What a program did. */
export interface Recording<T> {
  readonly result: T;
  readonly resources: readonly RecordedResource[];
  readonly calls: readonly RecordedCall[];
  /** The one resource of a type and name; it is an error if there is none. */
  find(type: string, name: string): RecordedResource;
  /** All resources of a type. */
  all(type: string): RecordedResource[];
}

type Fields = Readonly<Record<string, unknown>>;

/** Outputs that AWS would make up, by type; `id` among them if its form matters. A type that is missing here is refused. */
export type Outputs = Readonly<Record<string, (name: string, inputs: Fields) => Fields>>;

/** Answers to invokes by token. */
export type Answers = Readonly<Record<string, (inputs: Fields) => Fields>>;

const secretSignature = "4dabf18193072939515e22adb298388d";
const secretMark = "1b47061264138c4ac30d75fd1eb44270";

function secretPaths(value: unknown, path: string): string[] {
  if (typeof value !== "object" || value === null) {
    return [];
  }
  if ((value as Record<string, unknown>)[secretSignature] === secretMark) {
    return [path];
  }
  return Object.entries(value).flatMap(([key, item]) =>
    secretPaths(item, path === "" ? key : `${path}.${key}`),
  );
}

/** The part of a registration request that the mocks do not hand on. */
interface Request {
  getType(): string;
  getName(): string;
  getObject(): { toJavaScript(): Fields };
  getParent(): string;
  getDependenciesList(): string[];
  getIgnorechangesList(): string[];
  getDeletebeforereplace(): boolean;
  getRetainondelete(): boolean;
}

/** Last part of a URN: the logical name. */
function nameOf(urn: string): string {
  return urn.split("::").at(-1) ?? "";
}

/** Runs a program against the mocks and returns what it registered. Rejects when it, or any of its resources, fails. */
export async function record<T>(
  build: () => T,
  outputs: Outputs,
  answers: Answers,
): Promise<Recording<T>> {
  const resources: RecordedResource[] = [];
  const calls: RecordedCall[] = [];
  const failures: unknown[] = [];
  const refuse = (message: string): never => {
    const error = new Error(message);
    failures.push(error);
    throw error;
  };
  await pulumi.runtime.setMocks(
    {
      newResource: ({ type, name, inputs, custom }: MockResourceArgs) => {
        const fields = inputs as Fields;
        if (custom !== true) {
          return { id: undefined, state: {} };
        }
        const make = outputs[type] ?? refuse(`no mock for the resource type ${type} (${name})`);
        const { id = `${name}-id`, ...made } = make(name, fields);
        return { id: String(id), state: { ...fields, ...made } };
      },
      call: ({ token, inputs }) => {
        const fields = inputs as Fields;
        calls.push({ token, inputs: fields });
        const answer = answers[token] ?? refuse(`no mock for the invoke ${token}`);
        return answer(fields);
      },
    },
    "etcd-cluster",
    "test",
    false,
  );
  const original = Object.getOwnPropertyDescriptor(MockMonitor.prototype, "registerResource")
    ?.value as (this: MockMonitor, request: Request, callback: unknown) => Promise<void>;
  MockMonitor.prototype.registerResource = async function (request: Request, callback: unknown) {
    const raw = request.getObject().toJavaScript();
    resources.push({
      type: request.getType(),
      name: request.getName(),
      custom: true,
      inputs: plain(raw) as Fields,
      secretInputs: secretPaths(raw, ""),
      parent: nameOf(request.getParent()),
      dependencies: request.getDependenciesList().map(nameOf),
      typedDependencies: request
        .getDependenciesList()
        .map((urn) => `${urn.split("::").at(-2)?.split("$").at(-1) ?? ""} ${nameOf(urn)}`),
      ignoreChanges: request.getIgnorechangesList(),
      deleteBeforeReplace: request.getDeletebeforereplace(),
      retainOnDelete: request.getRetainondelete(),
    });
    await original.call(this, request, callback);
  };
  try {
    const result = build();
    await (pulumi.runtime as unknown as { waitForRPCs(): Promise<void> }).waitForRPCs();
    if (failures.length > 0) {
      throw failures[0];
    }
    return {
      result,
      resources,
      calls,
      find: (type, name) => {
        const found = resources.filter((each) => each.type === type && each.name === name);
        if (found.length !== 1 || found[0] === undefined) {
          throw new Error(`${found.length} resources ${type} ${name}`);
        }
        return found[0];
      },
      all: (type) => resources.filter((each) => each.type === type),
    };
  } finally {
    MockMonitor.prototype.registerResource = original;
  }
}

/** Values without the marks of secrets. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(plain);
  }
  if (typeof value !== "object" || value === null) {
    return value;
  }
  const fields = value as Record<string, unknown>;
  if (fields[secretSignature] === secretMark) {
    return plain(fields["value"]);
  }
  return Object.fromEntries(Object.entries(fields).map(([key, item]) => [key, plain(item)]));
}

/** The value of an output, and whether it is a secret. */
export async function resolve<T>(output: pulumi.Output<T>): Promise<{ value: T; secret: boolean }> {
  const value = await new Promise<T>((done) => {
    output.apply((each) => {
      done(each);
    });
  });
  return { value, secret: await pulumi.isSecret(output) };
}
