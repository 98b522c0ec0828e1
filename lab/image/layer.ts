import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { computeDomain } from "../network/names.ts";
import { addresses } from "../paths.ts";

/** What the layer of one lab is made of. */
export interface LayerOptions {
  /** Root folder of the machine image. */
  image: string;
  /** Folder that holds the layers. */
  folder: string;
  region: string;
  /** The lab's certificate authority, PEM. */
  certificate: string;
}

/**
 * The few files in which this lab's machines differ from the image: the trusted authority and the resolver.
 * A read-only layer between the image and every machine's own; keyed by content, because a layer in use by
 * running machines must not change.
 */
export async function ensureLayer(options: LayerOptions): Promise<string> {
  const { image, certificate, region } = options;
  const bundle = readFileSync(join(image, "etc/ssl/certs/ca-certificates.crt"), "utf8");
  const { stdout: hash } = await execa("openssl", ["x509", "-noout", "-subject_hash"], {
    input: certificate,
  });
  const files: Record<string, string> = {
    "usr/local/share/ca-certificates/etcd-cluster-lab.crt": certificate,
    "etc/ssl/certs/etcd-cluster-lab.pem": certificate,
    "etc/ssl/certs/ca-certificates.crt": bundle + certificate,
    "etc/resolv.conf": `search ${computeDomain(region)}\nnameserver ${addresses.resolver}\noptions timeout:1 attempts:5\n`,
  };
  const key = createHash("sha256").update(JSON.stringify(files)).digest("hex").slice(0, 16);
  const layer = join(options.folder, key);
  if (existsSync(layer)) return layer;
  const building = `${layer}.new`;
  rmSync(building, { recursive: true, force: true });
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(building, path)), { recursive: true, mode: 0o755 });
    writeFileSync(join(building, path), text, { mode: 0o644 });
  }
  symlinkSync("etcd-cluster-lab.pem", join(building, "etc/ssl/certs", `${hash.trim()}.0`));
  renameSync(building, layer);
  return layer;
}
