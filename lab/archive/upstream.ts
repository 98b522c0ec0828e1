import { aptMirror } from "../image/mirror.ts";

/** Where Debian's archive is fetched from. Addresses have no slash at their end. */
export interface Upstream {
  /** The release itself. */
  readonly archive: string;
  /** Its security updates. */
  readonly security: string;
  /** HTTP proxy on the way there. */
  readonly proxy?: string;
}

const debian = "http://deb.debian.org";

/** What the host itself uses, as far as it can be asked over HTTP; Debian's own address for the rest. */
export async function hostUpstream(): Promise<Upstream> {
  const { url, securityUrl, proxy } = await aptMirror();
  return {
    archive: overHttp(url) ?? `${debian}/debian`,
    security: overHttp(securityUrl) ?? `${debian}/debian-security`,
    ...(proxy === undefined ? {} : { proxy }),
  };
}

/** apt knows other ways too: a disk, or a list of mirrors in a file. */
function overHttp(url: string | undefined): string | undefined {
  return url !== undefined && /^https?:/.test(url) ? url : undefined;
}
