import {
  builtEtcd,
  defaultEtcd,
  ensureEtcd,
  etcdPrograms,
  type EtcdVersion,
} from "../../lab/toolchain/artifacts.ts";

/**
 * Where a version's programs are, for tests that ask every minor: the default one is built, others are taken where they have been, or
 * built with ETCD_ALL_MINORS=1. Undefined when it is not there.
 */
export async function programsOf(version: EtcdVersion): Promise<string | undefined> {
  const wanted = version === defaultEtcd || process.env["ETCD_ALL_MINORS"] === "1";
  const silent = (): void => undefined;
  return wanted ? etcdPrograms(await ensureEtcd(version, silent), version) : builtEtcd(version);
}
