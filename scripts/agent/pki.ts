import { createPrivateKey, randomUUID, X509Certificate } from "node:crypto";
import { lstat, mkdir, open, readdir, readFile, rename, rm, symlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

import type { MemberConfig } from "../../components/plan/memberConfig";
import type { pkiFiles } from "../../components/plan/machinePaths";
import { isErrno, syncFolder, writeNew } from "./files";
import { paths } from "./paths";
import { revocationList } from "./revocation";

/** The private keys that belong to the certificates of a desired state, PEM. */
export interface PrivateKeys {
  readonly serverKey: string;
  readonly peerKey: string;
  readonly agentKey: string;
}

/** Contents of all files with keys and certificates. */
export type PkiContents = Readonly<Record<keyof typeof pkiFiles, Buffer>>;

/** What is to be in the files. Throws when a key does not belong to its certificate: etcd could not serve anybody with such a pair. */
export function pkiContents(
  { certificates, parameters }: MemberConfig,
  keys: PrivateKeys,
): PkiContents {
  const pairs = [
    ["server", "serverKey"],
    ["peer", "peerKey"],
    ["agent", "agentKey"],
  ] as const;
  for (const [what, key] of pairs) {
    if (!new X509Certificate(certificates[what]).checkPrivateKey(createPrivateKey(keys[key]))) {
      throw new Error(
        `the parameter ${parameters[key]} does not hold the key of the desired state's ${what} certificate; run \`pulumi up\``,
      );
    }
  }
  return {
    clientCa: Buffer.from(certificates.clientCa),
    peerCa: Buffer.from(certificates.peerCa),
    serverCertificate: Buffer.from(certificates.server),
    serverKey: Buffer.from(keys.serverKey),
    peerCertificate: Buffer.from(certificates.peer),
    peerKey: Buffer.from(keys.peerKey),
    agentCertificate: Buffer.from(certificates.agent),
    agentKey: Buffer.from(keys.agentKey),
    revoked: revocationList(serialsOf(certificates.revoked)),
  };
}

/** Serial numbers of certificates, hexadecimal. */
export function serialsOf(pems: readonly string[]): string[] {
  return pems.map((pem) => new X509Certificate(pem).serialNumber);
}

/**
 * Makes the files be these, all at once. etcd reads a certificate and then its key at every handshake, so that one file after the other
 * would be a time in which they do not match: a new folder is written beside the old one, and the link that etcd's settings go through is
 * renamed over. (What remains is a handshake that reads one file before and the other after that; where the key stays the same, as in a
 * renewal, it does not matter, and otherwise its caller tries again.) Returns whether anything is new.
 */
export async function installFiles(
  contents: PkiContents,
  owner: { readonly uid: number; readonly gid: number },
): Promise<boolean> {
  const wanted = Object.entries(contents).map(([what, content]) => ({
    path: paths.pkiFiles[what as keyof typeof pkiFiles],
    content,
  }));
  if ((await Promise.all(wanted.map(holds))).every(Boolean)) {
    return false;
  }
  const folder = join(paths.pkiStore, randomUUID());
  await mkdir(paths.pkiStore, { recursive: true });
  await mkdir(folder, { mode: 0o700 });
  await own(paths.pkiStore, 0o750, { uid: 0, gid: owner.gid });
  for (const { path, content } of wanted) {
    await writeNew(join(folder, basename(path)), content, { mode: 0o600, owner });
  }
  await own(folder, 0o750, { uid: 0, gid: owner.gid });
  await syncFolder(folder);
  await pointAt(folder);
  // etcd never keeps these files open.
  const old = (await readdir(paths.pkiStore)).filter((name) => name !== basename(folder));
  await Promise.all(old.map((name) => rm(join(paths.pkiStore, name), { recursive: true })));
  return true;
}

async function holds({ path, content }: { path: string; content: Buffer }): Promise<boolean> {
  try {
    return (await readFile(path)).equals(content);
  } catch (error) {
    if (isErrno(error, "ENOENT") || isErrno(error, "ENOTDIR")) {
      return false;
    }
    throw error;
  }
}

async function own(
  path: string,
  mode: number,
  { uid, gid }: { readonly uid: number; readonly gid: number },
): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.chown(uid, gid);
    await handle.chmod(mode);
  } finally {
    await handle.close();
  }
}

async function pointAt(folder: string): Promise<void> {
  const beside = `${paths.pki}.new`;
  await rm(beside, { force: true });
  await symlink(join(basename(paths.pkiStore), basename(folder)), beside);
  const there = await lstat(paths.pki).catch((error: unknown) => {
    if (isErrno(error, "ENOENT")) {
      return undefined;
    }
    throw error;
  });
  if (there?.isDirectory() === true) {
    // As agents left it that wrote the files one by one. A link cannot be renamed over a folder.
    await rename(paths.pki, join(paths.pkiStore, "before"));
  }
  await rename(beside, paths.pki);
  await syncFolder(dirname(paths.pki));
}
