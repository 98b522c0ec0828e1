import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { execa } from "execa";
import { killGroup, removeGroup, signal } from "../machines/cgroups.ts";
import { labMarks } from "../machines/marks.ts";
import type { TargetHealth, Vpc } from "../world.ts";
import { helperPid, startHelper, type HelperOptions } from "./helper.ts";
import { renderDrops, type Drops } from "./drops.ts";
import { freeLink, hostLinks, ip, ipBatch, type HostLink } from "./host.ts";
import { parseLinks, planLinks, type Plugged } from "./links.ts";
import { renderNames } from "./names.ts";
import { readTargets, renderProxy, type ProxyPlaces } from "./proxy.ts";
import { renderRules, uplink } from "./rules.ts";
import { renderServerStates } from "./serverStates.ts";

/** Kernel settings of a router namespace, each with the reason it is not the default. */
const routerSettings: readonly string[] = [
  "net.ipv4.ip_forward=1",
  // The router answers for every neighbour.
  "net.ipv4.conf.default.proxy_arp=1",
  // Neighbours stay behind the router, even where a shorter way would exist.
  "net.ipv4.conf.all.send_redirects=0",
  "net.ipv4.conf.default.send_redirects=0",
  // The proxy may be told of a balancer's address before the link plan has added it.
  "net.ipv4.ip_nonlocal_bind=1",
  "net.ipv6.conf.all.disable_ipv6=1",
  "net.ipv6.conf.default.disable_ipv6=1",
];

/** What a router needs besides its VPC. */
export interface RouterPlaces extends Pick<
  ProxyPlaces,
  "certificate" | "front" | "metadata" | "archive"
> {
  /** The router's own folder. */
  folder: string;
}

/** One VPC made real: a namespace with addresses, filter, resolver and proxy. */
export class Router {
  readonly #id: string;
  readonly #places: RouterPlaces;
  #link: HostLink | undefined;
  #settled = "";
  /** Whether this process has brought every file into effect: one before it may have died half-way. */
  #applied = false;

  constructor(id: string, places: RouterPlaces) {
    this.#id = id;
    this.#places = places;
  }

  /** The link to the host, once the router stands. */
  get link(): HostLink | undefined {
    return this.#link;
  }

  get #namespace(): string {
    return labMarks().prefix + this.#id;
  }

  /** Makes the VPC true. Nothing is done when neither it nor what is plugged in has changed. */
  async apply(vpc: Vpc, region: string, plugged: readonly Plugged[]): Promise<void> {
    const wanted = JSON.stringify([vpc, region, plugged]);
    const whole = existsSync(`/run/netns/${this.#namespace}`) && this.#helpersRun();
    if (this.#settled === wanted && whole) return;
    this.#settled = "";
    mkdirSync(this.#places.folder, { recursive: true });
    await this.#ensureNamespace();
    // Only with -d does it tell aliases, by which links are known; without them every link would be made anew every time.
    const links = parseLinks(await ip("-n", this.#namespace, "-d", "-j", "addr", "show"));
    const plan = planLinks(vpc, plugged, links);
    // Rules stand before anything can send, and links to machines come last.
    await this.#applyRules(vpc);
    for (const name of plan.surplus) {
      await execa("ip", ["-n", this.#namespace, "link", "del", name], { reject: false });
    }
    await ipBatch(plan.router, this.#namespace);
    await this.#applyNames(vpc, region);
    await this.#applyProxy(vpc);
    for (const [namespace, lines] of plan.machines) await ipBatch(lines, namespace);
    this.#settled = wanted;
    this.#applied = true;
  }

  /** Loses packets on their way, or lets them pass again. In effect when it returns. */
  async drop(drops: Drops): Promise<void> {
    if (!existsSync(`/run/netns/${this.#namespace}`)) return;
    await execa("nsenter", [`--net=/run/netns/${this.#namespace}`, "nft", "-f", "-"], {
      input: renderDrops(drops),
    });
  }

  /** Asks the proxy what it thinks of the targets. */
  async targets(vpc: Vpc): Promise<Record<string, Record<string, TargetHealth>>> {
    if (vpc.balancers.length === 0) return {};
    try {
      return readTargets(vpc, await ask(this.#file("proxy.sock"), "show stat -1 4 -1"));
    } catch {
      return readTargets(vpc, "");
    }
  }

  /** Removes the router with everything in it. */
  async remove(): Promise<void> {
    await killGroup(this.#id);
    removeGroup(this.#id);
    if (existsSync(`/run/netns/${this.#namespace}`)) await ip("netns", "del", this.#namespace);
    rmSync(this.#places.folder, { recursive: true, force: true });
    this.#settled = "";
  }

  async #ensureNamespace(): Promise<void> {
    if (!existsSync(`/run/netns/${this.#namespace}`)) {
      this.#applied = false;
      // Helpers of a namespace that is gone serve nobody.
      await killGroup(this.#id);
      await ip("netns", "add", this.#namespace);
    }
    if (!this.#applied) {
      await this.#inside("sysctl", "-qw", ...routerSettings);
      await ipBatch(["link set lo up"], this.#namespace);
    }
    this.#link = (await hostLinks()).find(({ vpcId }) => vpcId === this.#id);
    if (!this.#link) {
      const link = await freeLink(this.#id);
      // Half a link may be left of an attempt that failed; it has no alias yet, which is set last.
      await execa("ip", ["link", "del", link.name], { reject: false });
      await ipBatch([
        `link add ${link.name} type veth peer name ${uplink} netns ${this.#namespace}`,
        `addr add ${link.host}/30 dev ${link.name}`,
        `link set ${link.name} up`,
        `link set ${link.name} alias ${this.#id}`,
      ]);
      await ipBatch(
        [`addr add ${link.router}/30 dev ${uplink}`, `link set ${uplink} up`],
        this.#namespace,
      );
      this.#link = link;
    }
  }

  async #applyRules(vpc: Vpc): Promise<void> {
    const file = this.#file("rules.nft");
    const rules = renderRules(vpc);
    if (this.#applied && read(file) === rules) return;
    writeFileSync(`${file}.new`, rules);
    await this.#inside("nft", "-f", `${file}.new`);
    renameSync(`${file}.new`, file);
  }

  async #applyNames(vpc: Vpc, region: string): Promise<void> {
    const { settings, hosts } = renderNames(vpc, region, this.#file("hosts"));
    const newHosts = replace(this.#file("hosts"), hosts);
    const newSettings = replace(this.#file("names.conf"), settings);
    const helper = this.#resolver();
    const pid = helperPid(helper);
    if (pid !== undefined && this.#applied && !newSettings) {
      // Plain addresses are read again in place; anything else needs another process.
      if (newHosts) signal(pid, "SIGHUP");
      return;
    }
    if (pid !== undefined) await endProcess(pid);
    await startHelper(helper);
  }

  async #applyProxy(vpc: Vpc): Promise<void> {
    const { certificate, front, metadata, archive } = this.#places;
    const statistics = this.#file("proxy.sock");
    const serverStates = this.#file("proxy.states");
    const changed = replace(
      this.#file("proxy.cfg"),
      renderProxy(vpc, { certificate, front, metadata, archive, statistics, serverStates }),
    );
    const helper = this.#proxy();
    const pid = helperPid(helper);
    if (pid === undefined) {
      writeFileSync(serverStates, renderServerStates(vpc, ""));
      await startHelper(helper);
    } else if (changed || !this.#applied) {
      const known = await ask(statistics, "show servers state").catch(() => "");
      writeFileSync(serverStates, renderServerStates(vpc, known));
      // The master starts new workers beside the old ones, which keep their connections.
      signal(pid, "SIGUSR2");
    }
  }

  async #inside(...argv: string[]): Promise<void> {
    await execa("nsenter", [`--net=/run/netns/${this.#namespace}`, ...argv], { stdin: "ignore" });
  }

  #helpersRun(): boolean {
    return helperPid(this.#resolver()) !== undefined && helperPid(this.#proxy()) !== undefined;
  }

  #resolver(): HelperOptions {
    return {
      argv: [
        "dnsmasq",
        "--keep-in-foreground",
        `--conf-file=${this.#file("names.conf")}`,
        "--pid-file=",
      ],
      ...this.#helper("names"),
    };
  }

  #proxy(): HelperOptions {
    return { argv: ["haproxy", "-W", "-f", this.#file("proxy.cfg")], ...this.#helper("proxy") };
  }

  #helper(name: string): Omit<HelperOptions, "argv"> {
    return {
      group: this.#id,
      namespace: this.#namespace,
      pidFile: this.#file(`${name}.pid`),
      logFile: this.#file(`${name}.log`),
    };
  }

  #file(name: string): string {
    return join(this.#places.folder, name);
  }
}

/** One question to a proxy's statistics socket. */
async function ask(socket: string, question: string): Promise<string> {
  const connection = createConnection(socket);
  connection.setTimeout(1000, () => connection.destroy(new Error("no answer")));
  connection.end(`${question}\n`);
  return text(connection);
}

async function endProcess(pid: number): Promise<void> {
  signal(pid, "SIGKILL");
  for (let waited = 0; existsSync(`/proc/${pid}`) && waited < 1000; waited += 2) {
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Writes a file if its text is another; tells whether it was. */
function replace(file: string, content: string): boolean {
  if (read(file) === content) return false;
  writeFileSync(`${file}.new`, content);
  renameSync(`${file}.new`, file);
  return true;
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
