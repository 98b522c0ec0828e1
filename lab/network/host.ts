import { readFileSync } from "node:fs";
import { execa } from "execa";
import { labMarks } from "../machines/marks.ts";
import { addresses } from "../paths.ts";
import { bounds, overlap, toAddress } from "./ranges.ts";

/** Range of the links between the host and the routers, four addresses each (RFC 2544: used by no network). */
const linkRange = "198.18.0.0/16";

/** Loses against every route the host may have for the same range. */
const lastResort = 4_000_000_000;

/** The host's end of a router's link. */
export interface HostLink {
  name: string;
  vpcId: string;
  /** The host's address and the router's. */
  host: string;
  router: string;
}

interface Route {
  type?: string;
  dst: string;
  dev?: string;
  gateway?: string;
  protocol?: string;
}

/** Runs `ip` and gives what it printed. */
export async function ip(...args: string[]): Promise<string> {
  const { stdout } = await execa("ip", args, { stdin: "ignore" });
  return stdout;
}

/** Runs many `ip` commands in one process, in the host's namespace or in another. */
export async function ipBatch(lines: readonly string[], namespace?: string): Promise<void> {
  if (lines.length === 0) return;
  const where = namespace === undefined ? [] : ["-n", namespace];
  await execa("ip", [...where, "-batch", "-"], { input: `${lines.join("\n")}\n` });
}

/** The links that routers have to this host. The VPC's id is kept as the link's alias. */
export async function hostLinks(): Promise<HostLink[]> {
  const { prefix } = labMarks();
  const links = JSON.parse((await ip("-j", "link", "show")) || "[]") as {
    ifname: string;
    ifalias?: string;
  }[];
  return links.flatMap(({ ifname, ifalias }) => {
    const index = new RegExp(`^${prefix}up(\\d+)$`).exec(ifname)?.[1];
    return index === undefined ? [] : [linkAt(Number(index), ifalias ?? "")];
  });
}

/** A link for one more VPC, of addresses that nothing on this host uses. */
export async function freeLink(vpcId: string): Promise<HostLink> {
  const shown = JSON.parse((await ip("-j", "-4", "addr", "show")) || "[]") as {
    addr_info?: { local: string; prefixlen: number }[];
  }[];
  const used = shown.flatMap(({ addr_info }) =>
    (addr_info ?? []).map(({ local, prefixlen }) => `${local}/${prefixlen}`),
  );
  for (let index = 0; index < 1000; index++) {
    const link = linkAt(index, vpcId);
    if (!used.some((each) => overlap(each, `${link.host}/30`))) return link;
  }
  throw new Error(`no free addresses in ${linkRange} for a link to a router`);
}

function linkAt(index: number, vpcId: string): HostLink {
  const base = bounds(linkRange).first + index * 4;
  return {
    name: `${labMarks().prefix}up${index}`,
    vpcId,
    host: toAddress(base + 1),
    router: toAddress(base + 2),
  };
}

/**
 * The host's routes: every public address through its router, and nowhere else for the lab's ranges. Without
 * the unreachable ones, packets for a range that is not there (yet, or any more) leave by the default route.
 */
export async function applyHostRoutes(
  ranges: readonly string[],
  publicAddresses: readonly { address: string; link: HostLink }[],
  log: (line: string) => void,
): Promise<void> {
  const present = await allRoutes();
  const own = present.filter(isOurs);
  const foreign = [
    ...present.filter((route) => !isOurs(route)).map(({ dst }) => dst),
    // Reached by the default route, so no route of their own shows that they must stay reachable.
    ...nameservers(),
  ].filter((range) => range !== "default" && range !== "0.0.0.0/0");
  const lines: string[] = [];
  const protocol = `proto ${labMarks().routeProtocol}`;
  const wantedRanges = [...new Set([...ranges, addresses.elasticIpRange])];
  for (const range of wantedRanges) {
    const owner = foreign.find((each) => overlap(each, range));
    const standing = own.some(({ type, dst }) => type === "unreachable" && dst === range);
    if (owner !== undefined && !standing) log(`the host uses ${owner}: ${range} is not shut off`);
    else if (!standing)
      lines.push(`route add unreachable ${range} metric ${lastResort} ${protocol}`);
  }
  for (const { address, link } of publicAddresses) {
    const standing = own.some(({ dst, dev }) => dst === address && dev === link.name);
    if (!standing)
      lines.push(`route replace ${address}/32 via ${link.router} dev ${link.name} ${protocol}`);
  }
  for (const { type, dst } of own) {
    if (type === "unreachable") {
      if (!wantedRanges.includes(dst))
        lines.push(`route del unreachable ${dst} metric ${lastResort}`);
    } else if (!publicAddresses.some(({ address }) => address === dst)) {
      lines.push(`route del ${dst} ${protocol}`);
    }
  }
  await ipBatch(lines);
}

/** The lab's routes, as `ip route del` takes them. */
export async function labRoutes(): Promise<string[]> {
  const protocol = `proto ${labMarks().routeProtocol}`;
  return (await allRoutes())
    .filter(isOurs)
    .map(({ type, dst }) =>
      type === "unreachable"
        ? `unreachable ${dst} metric ${lastResort} ${protocol}`
        : `${dst} ${protocol}`,
    );
}

/** The host's own resolvers. */
function nameservers(): string[] {
  try {
    const text = readFileSync("/etc/resolv.conf", "utf8");
    return [...text.matchAll(/^nameserver\s+(\d+\.\d+\.\d+\.\d+)\s*$/gm)].map(
      ([, address]) => address ?? "",
    );
  } catch {
    return [];
  }
}

async function allRoutes(): Promise<Route[]> {
  return JSON.parse((await ip("-j", "-4", "route", "show")) || "[]") as Route[];
}

function isOurs(route: Route): boolean {
  return route.protocol === `${labMarks().routeProtocol}`;
}
