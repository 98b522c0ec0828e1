/** A resource as a program declares it: in the mocks, or in a deployed stack's state. */
export interface Resource {
  /** Pulumi's token, for example `aws:ec2/instance:Instance`. */
  readonly type: string;
  /** Logical name. */
  readonly name: string;
  readonly inputs: Readonly<Record<string, unknown>>;
}

/** What is found wrong, in words; nothing when all is well. */
export type Findings = readonly string[];

/** One control over `Subject`: what is asserted, where it comes from, and changes of the subject that it has to notice. */
export interface Control<Subject> {
  /** Unique among all controls; a word or some with hyphens. */
  readonly id: string;
  /** The assertion, for people. */
  readonly what: string;
  /** `CIS 2.1` (CIS Kubernetes Benchmark, etcd), `CT.EC2.PR.1` (AWS Control Tower), `S3.5` (AWS Security Hub), `DESIGN 3`. */
  readonly sources: readonly string[];
  readonly check: (subject: Subject) => Findings;
  /** By what is done: a subject that is wrong. */
  readonly mutants: Readonly<Record<string, (subject: Subject) => Subject>>;
}

/** Resources of some types. */
export function ofType(resources: readonly Resource[], ...types: readonly string[]): Resource[] {
  return resources.filter(({ type }) => types.includes(type));
}

/** A value deep inside, by names and numbers with dots between them. */
export function at(value: unknown, path: string): unknown {
  return path
    .split(".")
    .reduce<unknown>(
      (inner, name) =>
        typeof inner === "object" && inner !== null
          ? (inner as Record<string, unknown>)[name]
          : undefined,
      value,
    );
}

function withValue(value: unknown, path: readonly string[], wanted: unknown): unknown {
  const [name, ...rest] = path;
  if (name === undefined) return wanted;
  if (Array.isArray(value)) {
    return (value as unknown[]).map((item, index) =>
      String(index) === name ? withValue(item, rest, wanted) : item,
    );
  }
  const fields = (value ?? {}) as Readonly<Record<string, unknown>>;
  return { ...fields, [name]: withValue(fields[name], rest, wanted) };
}

/** The first resource of a type with another value at a path; an error when there is none, or nothing changes. */
export function altered(type: string, path: string, wanted: unknown, named = /./) {
  return (resources: readonly Resource[]): readonly Resource[] => {
    const index = resources.findIndex((each) => each.type === type && named.test(each.name));
    const found = resources[index];
    if (found === undefined) throw new Error(`there is no ${type} to alter`);
    const inputs = withValue(found.inputs, path.split("."), wanted) as Resource["inputs"];
    if (JSON.stringify(inputs) === JSON.stringify(found.inputs)) {
      throw new Error(`${type} ${found.name} has ${path} like this already`);
    }
    return resources.map((each, position) => (position === index ? { ...each, inputs } : each));
  };
}

/** Without the first resource of a type. */
export function without(type: string, named = /./) {
  return (resources: readonly Resource[]): readonly Resource[] => {
    const index = resources.findIndex((each) => each.type === type && named.test(each.name));
    if (index < 0) throw new Error(`there is no ${type} to leave out`);
    return resources.filter((_, position) => position !== index);
  };
}

/** With one more resource. */
export function having(resource: Resource) {
  return (resources: readonly Resource[]): readonly Resource[] => [...resources, resource];
}

/** A finding for every resource of which something is not so; and one when there are none at all. */
export function each(
  resources: readonly Resource[],
  types: readonly string[],
  holds: Readonly<Record<string, (resource: Resource) => boolean>>,
): Findings {
  return types.flatMap((type) => {
    const found = ofType(resources, type);
    if (found.length === 0) return [`there is no ${type}`];
    return found.flatMap((resource) =>
      Object.entries(holds)
        .filter(([, test]) => !test(resource))
        .map(([what]) => `${type} ${resource.name}: not ${what}`),
    );
  });
}
