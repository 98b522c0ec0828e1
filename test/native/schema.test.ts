import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { test } from "node:test";
import { repository } from "../../lab/toolchain/engine.ts";

/** Pulumi's own reading of a component's types, which it does when a program in another language asks for the package. */
interface Inference {
  readonly Analyzer: new (
    folder: string,
    name: string,
    manifest: unknown,
    components: ReadonlySet<string>,
  ) => {
    analyze(): { components: unknown; typeDefinitions: unknown; dependencies: unknown };
  };
  readonly generateSchema: (
    name: string,
    version: string,
    description: string,
    components: unknown,
    types: unknown,
    dependencies: unknown,
  ) => unknown;
}

const load = createRequire(import.meta.url);
const experimental = "@pulumi/pulumi/provider/experimental";
const { Analyzer } = load(`${experimental}/analyzer.js`) as Pick<Inference, "Analyzer">;
const { generateSchema } = load(`${experimental}/schema.js`) as Pick<Inference, "generateSchema">;
const golden = join(repository, "test/native/golden/schema.json");

test("Pulumi infers a schema from the component, so that other languages can use it, and it is this one", () => {
  const folder = join(repository, "components");
  const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as {
    name: string;
    version: string;
    description: string;
  };
  const { name, version, description } = manifest;
  const found = new Analyzer(folder, name, manifest, new Set(["EtcdCluster"])).analyze();
  const { components, typeDefinitions, dependencies } = found;
  const schema = generateSchema(
    ...([name, version, description, components, typeDefinitions, dependencies] as const),
  );
  const text = `${JSON.stringify(schema, undefined, 2)}\n`;
  if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(golden, text);
  assert.equal(text, readFileSync(golden, "utf8"));
});
