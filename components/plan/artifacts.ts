import { createHash } from "node:crypto";

/** A file that machines fetch from the bucket and check by its hash. Either a local file or an upstream release. */
export interface ArtifactSource {
  /** Absolute path of a local file; its hash is computed unless `sha256` is given. By default the release is downloaded. */
  path?: string | undefined;
  /** Address of the release; defaults to the project's own. */
  url?: string | undefined;
  /** SHA-256 of the file, lower-case hexadecimal; required unless `path` is given. */
  sha256?: string | undefined;
}

/** An artifact of which everything is known. */
export type Artifact =
  | { readonly kind: "file"; readonly path: string; readonly sha256: string }
  | { readonly kind: "url"; readonly url: string; readonly sha256: string };

/** Processor architectures. */
export type Architecture = "amd64" | "arm64";

/** Version of the Node runtime that machines run the agent with. */
export const nodeVersion = "24.21.0";

/** Architectures the released artifacts are fetched for; machine types must match. */
export const artifactArchitecture: Architecture = "amd64";

const nodePlatform: Readonly<Record<Architecture, string>> = { amd64: "x64", arm64: "arm64" };

/** Upstream addresses. Their hashes are not kept here: nobody has checked them against the publishers' signatures yet. */
export const upstream = {
  node: () =>
    `https://nodejs.org/dist/v${nodeVersion}/node-v${nodeVersion}-linux-${nodePlatform[artifactArchitecture]}.tar.gz`,
  etcd: (version: string) =>
    `https://github.com/etcd-io/etcd/releases/download/v${version}/etcd-v${version}-linux-${artifactArchitecture}.tar.gz`,
} as const;

/** Where a publisher lists its hashes, for the remedy in messages. */
export const upstreamHashes = {
  node: () => `https://nodejs.org/dist/v${nodeVersion}/SHASUMS256.txt`,
  etcd: (version: string) =>
    `https://github.com/etcd-io/etcd/releases/download/v${version}/SHA256SUMS`,
} as const;

/** SHA-256 of some bytes, lower-case hexadecimal. */
export function sha256(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Architecture of an instance type: Graviton families carry a `g` after the generation (m7g, t4g, c7gn); a1 came before. */
export function architectureOf(instanceType: string): Architecture {
  return /^(a1|[a-z]+\d+g[a-z]*)\./.test(instanceType) ? "arm64" : "amd64";
}
