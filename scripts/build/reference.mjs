// Makes docs/reference/ and the README's table of settings from the code: names, types and texts of the component's source, defaults as
// `resolveOptions` fills them in, targets of the Makefile. Usage: node scripts/build/reference.mjs [--check]; with --check nothing is
// written, and what is stale is an error.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { format, resolveConfig } from "prettier";
import ts from "typescript";

const repository = resolve(dirname(fileURLToPath(import.meta.url)), "..", "..");
const read = (path) => readFileSync(join(repository, path), "utf8");

/** Interfaces and classes of the component by name. */
const declarations = new Map();
for (const path of [
  "etcdClusterArgs.ts",
  "etcdCluster.ts",
  "etcdNodeGroup.ts",
  "connection.ts",
  "network.ts",
  "tlsAuthority.ts",
  "plan/accessControl.ts",
  "plan/artifacts.ts",
  "plan/health.ts",
]) {
  const source = ts.createSourceFile(
    path,
    read(`components/${path}`),
    ts.ScriptTarget.Latest,
    true,
  );
  for (const node of source.statements) {
    if (ts.isInterfaceDeclaration(node) || ts.isClassDeclaration(node)) {
      declarations.set(node.name.text, node);
    }
  }
}

function declaration(name) {
  const found = declarations.get(name);
  if (found === undefined) throw new Error(`there is no ${name} in the files that are read`);
  return found;
}

/** The text of a node's comment on one line. */
function textOf(node) {
  const text = ts
    .getJSDocCommentsAndTags(node)
    .map(({ comment }) =>
      typeof comment === "string" ? comment : ts.getTextOfJSDocComment(comment),
    )
    .join(" ")
    .replace(/\s+/g, " ")
    .trim();
  if (text === "") throw new Error(`${node.name.getText()} has no comment`);
  return text;
}

/** The same with its paragraphs and its list. */
function paragraphsOf(node) {
  const [comment] = ts.getJSDocCommentsAndTags(node).map((each) => each.comment);
  return ts
    .getTextOfJSDocComment(comment)
    .split(/\n\s*\n/)
    .map((paragraph) => paragraph.replace(/\s*\n\s*(?!\d+\. )/g, " "))
    .join("\n\n");
}

function firstSentence(text) {
  return /^.*?\.(?= |$)/.exec(text)?.[0].replace(/\.$/, "") ?? text;
}

/** A type as it is written, without what everybody knows. */
function typeOf(node) {
  return node
    .getText()
    .replace(/ \| undefined\b/g, "")
    .replaceAll("pulumi.", "")
    .replace(/\s+/g, " ");
}

const hidden = new Set([ts.SyntaxKind.PrivateKeyword, ts.SyntaxKind.ProtectedKeyword]);

function membersOf(name) {
  return declaration(name).members.filter(
    (member) =>
      (ts.isPropertySignature(member) ||
        ts.isPropertyDeclaration(member) ||
        ts.isMethodDeclaration(member)) &&
      member.modifiers?.some(({ kind }) => hidden.has(kind)) !== true,
  );
}

/** Interfaces of this package that a type names. */
function namedIn(type) {
  return [...type.matchAll(/[A-Z]\w+/g)]
    .map(([name]) => name)
    .filter((name) =>
      ts.isInterfaceDeclaration(
        declarations.get(name) ?? ts.factory.createToken(ts.SyntaxKind.EndOfFileToken),
      ),
    );
}

const cell = (text) => text.replaceAll("|", "\\|");
const code = (text) => (text === "" ? "" : `\`${cell(text)}\``);

function table(header, rows) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [line(header), line(header.map(() => "---")), ...rows.map(line)].join("\n");
}

/** What a caller who says the least gets. */
async function defaults() {
  const { outputFiles } = await build({
    absWorkingDir: repository,
    entryPoints: ["components/plan/options.ts"],
    bundle: true,
    write: false,
    platform: "node",
    format: "esm",
  });
  const { resolveOptions } = await import(
    `data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString("base64")}`
  );
  const resolved = (name, region) => resolveOptions(name, { region, adminCidrs: [] });
  const [here, there] = [resolved("<name>", "eu-central-1"), resolved("<other>", "eu-west-1")];
  const show = (value) =>
    value === undefined ||
    value === "" ||
    JSON.stringify(value) === "[]" ||
    JSON.stringify(value) === "{}"
      ? "none"
      : typeof value === "object" && !Array.isArray(value)
        ? Object.values(value).map(show).join(", ")
        : Array.isArray(value)
          ? value.map(show).join(", ")
          : String(value);
  const worded = {
    region: "required",
    adminCidrs: "required",
    clusterName: "the component's name",
    zones: "the region's first three",
    artifacts: "upstream, by hash",
    domain: "`<clusterName>.internal`",
    amiId: "newest Debian 13 at creation",
    memberAddresses: "AWS picks",
    certificateRenewalDays: "a third of the validity",
    accessControl: "off",
  };
  return (name) => {
    if (Object.hasOwn(worded, name)) return worded[name];
    if (show(here[name]) !== show(there[name]))
      throw new Error(`${name}: say its default in words`);
    return show(here[name]);
  };
}

/** A table for every interface, those that are named in it after it. */
function interfaces(first, seen = new Set(), columns = ["name", "type", "what it is"]) {
  if (seen.has(first)) return [];
  seen.add(first);
  const members = membersOf(first);
  const rows = members.map((member) => {
    const optional = member.questionToken === undefined ? "" : "?";
    if (optional !== "" && !/\b(by|off by|defaults?|required)\b/i.test(textOf(member))) {
      throw new Error(`${first}.${member.name.getText()}: the comment does not say its default`);
    }
    const type = ts.isMethodDeclaration(member)
      ? `(${member.parameters.map((each) => each.getText()).join(", ")}) => ${typeOf(member.type)}`
      : typeOf(member.type);
    return [code(member.name.getText() + optional), code(type), cell(textOf(member))];
  });
  const heading = `## ${first}\n\n${paragraphsOf(declaration(first))}\n\n${table(columns, rows)}`;
  const next = members.flatMap((member) => namedIn(member.type?.getText() ?? ""));
  return [heading, ...next.flatMap((name) => interfaces(name, seen, columns))];
}

const note = "<!-- Made by scripts/build/reference.mjs from the code. -->";

async function pages() {
  const defaultOf = await defaults();
  const settings = membersOf("EtcdClusterArgs").map((member) => ({
    name: member.name.getText(),
    type: typeOf(member.type),
    text: textOf(member),
  }));
  const own = settings.filter(({ name }) => name !== "region");
  const readme = table(
    ["key (`etcd-cluster:…`)", "default", "meaning"],
    own.map(({ name, text }) => [code(name), cell(defaultOf(name)), cell(firstSentence(text))]),
  );
  const seen = new Set();
  const outputs = interfaces("EtcdCluster", seen);
  const targets = [...read("Makefile").matchAll(/^([a-z-]+):.*?## (.*)$/gm)];
  return new Map([
    [
      "docs/reference/etcdCluster.md",
      [
        "# EtcdCluster",
        note,
        "`new EtcdCluster(name, args, opts)` from the package `etcd-cluster`. Where a type says `Input`, the output of another resource may be given; everything else has to be known before anything is created, because it decides what is. A name with a question mark may be left out.",
        ...interfaces("EtcdClusterArgs", seen),
        "# What it gives",
        ...outputs,
      ].join("\n\n"),
    ],
    [
      "docs/reference/configuration.md",
      [
        "# Settings of a stack",
        note,
        "The checkout's own program takes every argument of the component but the region from the stack's config. Texts are written as they are, everything else as YAML in the stack's file or as JSON in `pulumi config set`; parts are set by `--path`. The region is Pulumi's own `aws:region`. [etcdCluster.md](etcdCluster.md) has what is inside of objects.",
        table(
          ["key", "form", "default", "meaning"],
          own.map(({ name, type, text }) => [
            code(`etcd-cluster:${name}`),
            code(type.replace(/^Input<(.*)>$/, "$1")),
            cell(defaultOf(name)),
            cell(text),
          ]),
        ),
      ].join("\n\n"),
    ],
    [
      "docs/reference/make.md",
      [
        "# Targets of make",
        note,
        "Without a target, `make` prints this list. [commands.md](../commands.md) says what is behind them.",
        table(
          ["target", "what it does"],
          targets.map(([, name, text]) => [code(`make ${name}`), cell(text.replaceAll("$$", "$"))]),
        ),
      ].join("\n\n"),
    ],
    [
      "README.md",
      read("README.md").replace(/^\| key \(`etcd-cluster.*?\n(?=\n)/ms, () => `${readme}\n`),
    ],
  ]);
}

const check = process.argv[2] === "--check";
let stale = 0;
for (const [path, text] of await pages()) {
  const file = join(repository, path);
  const made = await format(text, { ...(await resolveConfig(file)), filepath: file });
  if (existsSync(file) && readFileSync(file, "utf8") === made) continue;
  if (check) {
    stale += 1;
    console.error(`${path} is not what the code says; run: node scripts/build/reference.mjs`);
  } else {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, made);
  }
}
process.exitCode = stale === 0 ? 0 : 1;
