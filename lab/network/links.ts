import { addresses } from "../paths.ts";
import type { Interface, Vpc } from "../world.ts";
import { bounds, gateway } from "./ranges.ts";
import { vethName } from "./rules.ts";

/** A network interface that a machine has now. */
export interface Plugged {
  interface: Interface;
  /** The machine's namespace. */
  namespace: string;
  /** Tells it from a namespace of the same name that was there before. */
  incarnation: number;
  /** The link's name inside the machine. */
  name: string;
  /** Whether it is the machine's first one, which carries the default route. */
  first: boolean;
}

/** The links of a namespace as `ip -j addr` shows them, reduced to what matters here. */
export interface LinkState {
  name: string;
  alias: string;
  addresses: string[];
}

/** What to do in the router's namespace and in those of machines, in this order. */
export interface LinkPlan {
  /** Links to delete; one whose machine's namespace is just going away may be gone already. */
  surplus: string[];
  /** Lines for `ip -batch`. */
  router: string[];
  machines: Map<string, string[]>;
}

/** Reads the output of `ip -j addr show`. */
export function parseLinks(json: string): LinkState[] {
  const links = JSON.parse(json === "" ? "[]" : json) as {
    ifname: string;
    ifalias?: string;
    addr_info?: { family: string; local: string; prefixlen: number }[];
  }[];
  return links.map((link) => ({
    name: link.ifname,
    alias: link.ifalias ?? "",
    addresses: (link.addr_info ?? [])
      .filter(({ family }) => family === "inet")
      .map(({ local, prefixlen }) => `${local}/${prefixlen}`),
  }));
}

/**
 * What is to be done in the router namespace so that it serves the VPC. The VPC is routed down to the single
 * address: every interface is a link of its own, the router answers for all neighbours, and so every packet
 * passes the filter, between machines of one subnet too, without a bridge.
 */
export function planLinks(
  vpc: Vpc,
  plugged: readonly Plugged[],
  actual: readonly LinkState[],
): LinkPlan {
  const plan: LinkPlan = { surplus: [], router: [], machines: new Map() };
  planLoopback(vpc, actual, plan);
  const wanted = new Map(plugged.map((each) => [vethName(each.interface.id), each]));
  const standing = new Set<string>();
  for (const { name, alias } of actual) {
    if (!name.startsWith("v-")) continue;
    const each = wanted.get(name);
    if (each && alias === signature(vpc, each)) standing.add(name);
    else plan.surplus.push(name);
  }
  for (const [veth, each] of wanted) if (!standing.has(veth)) planLink(vpc, each, veth, plan);
  return plan;
}

/** The router's own addresses: gateways, AWS's services, balancers. */
function planLoopback(vpc: Vpc, actual: readonly LinkState[], plan: LinkPlan): void {
  const own = new Set(
    [
      addresses.metadata,
      addresses.resolver,
      addresses.awsApi,
      addresses.s3,
      addresses.debian,
      ...vpc.subnets.map(({ cidr }) => gateway(cidr)),
      ...vpc.balancers.flatMap((each) => each.addresses.map(({ address }) => address)),
    ].map((address) => `${address}/32`),
  );
  const loopback = actual.find(({ name }) => name === "lo");
  const present = new Set(loopback?.addresses.filter((each) => each !== "127.0.0.1/8"));
  for (const each of own) if (!present.has(each)) plan.router.push(`addr add ${each} dev lo`);
  for (const each of present) if (!own.has(each)) plan.router.push(`addr del ${each} dev lo`);
}

function planLink(vpc: Vpc, each: Plugged, veth: string, plan: LinkPlan): void {
  const { address, mac } = each.interface;
  const { cidr } = subnetOf(vpc, each.interface);
  plan.router.push(
    `link add ${veth} type veth peer name ${each.name} address ${mac} netns ${each.namespace}`,
    // It answers for neighbours at once: the default delay of 0.8 s breaks connects bound to 1 s.
    `ntable change name arp_cache dev ${veth} proxy_delay 0`,
    `link set ${veth} alias ${signature(vpc, each)} up`,
    `route replace ${address}/32 dev ${veth}`,
    // Known for good: a machine that is off gets packets and says nothing, as on EC2.
    `neigh replace ${address} lladdr ${mac} dev ${veth} nud permanent`,
  );
  const lines = plan.machines.get(each.namespace) ?? ["link set lo up"];
  plan.machines.set(each.namespace, lines);
  lines.push(
    `addr add ${address}/${bounds(cidr).prefix} dev ${each.name}`,
    `link set ${each.name} up`,
  );
  if (each.first) lines.push(`route replace default via ${gateway(cidr)} dev ${each.name}`);
}

/** All that a link was made from; a link whose alias says something else is made anew. */
function signature(vpc: Vpc, each: Plugged): string {
  const { address, mac } = each.interface;
  const { cidr } = subnetOf(vpc, each.interface);
  const { namespace, incarnation, name, first } = each;
  return [namespace, incarnation, name, address, cidr, mac, first ? "first" : "more"].join(",");
}

function subnetOf(vpc: Vpc, each: Interface): { cidr: string } {
  const subnet = vpc.subnets.find(({ id }) => id === each.subnetId);
  if (!subnet)
    throw new Error(
      `interface ${each.id} is in subnet ${each.subnetId}, which ${vpc.id} does not have`,
    );
  return subnet;
}
