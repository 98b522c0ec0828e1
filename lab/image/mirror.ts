import { execa } from "execa";

/** Where the host itself gets Debian from, and through which proxy. */
export interface Mirror {
  /** Absent when apt knows none of Debian's own archive; debootstrap then uses its default. */
  url?: string;
  /** The same for security updates. */
  securityUrl?: string;
  proxy?: string;
}

/**
 * The first repository of Debian's own archive among apt's index targets. The lines are
 * "url|origin|label", as `aptMirror` asks for them; the security archive has a label of its own.
 */
export function debianArchive(
  targets: string,
  wanted: "Debian" | "Debian-Security" = "Debian",
): string | undefined {
  for (const line of targets.split("\n")) {
    const [url, origin, label] = line.split("|");
    if (url !== undefined && origin === "Debian" && label === wanted) {
      return url.replace(/\/$/, "");
    }
  }
  return undefined;
}

/** Asks apt, so that a host with a mirror or a proxy of its own needs no second configuration. */
export async function aptMirror(): Promise<Mirror> {
  const targets = await execa(
    "apt-get",
    ["indextargets", "--format", "$(REPO_URI)|$(ORIGIN)|$(LABEL)", "Identifier: Packages"],
    { reject: false },
  );
  const proxy = await execa("apt-config", ["shell", "PROXY", "Acquire::http::Proxy"], {
    reject: false,
  });
  const value = /^PROXY='(.+)'$/m.exec(proxy.stdout)?.[1];
  const url = debianArchive(targets.stdout);
  const securityUrl = debianArchive(targets.stdout, "Debian-Security");
  return {
    ...(url === undefined ? {} : { url }),
    ...(securityUrl === undefined ? {} : { securityUrl }),
    ...(value === undefined || value === "DIRECT" ? {} : { proxy: value }),
  };
}
