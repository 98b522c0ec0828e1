import { addresses } from "../paths.ts";
import type { Interface, Rule, SecurityGroup, Vpc } from "../world.ts";
import { overlap } from "./ranges.ts";

/**
 * A VPC's packet filter as one nftables table of its router namespace. Every packet between two machines is
 * routed, inside a subnet too, so one pair of chains decides everything: `egress` by the groups of the sender,
 * `ingress` by those of the receiver. A rule that matches returns, the end of a chain drops.
 */
export function renderRules(vpc: Vpc): string {
  return [
    // Declared before it is deleted, so that the file works whether the table exists or not; all in one transaction.
    "table inet lab {}",
    "delete table inet lab",
    "table inet lab {",
    ...sets(vpc).map(indent),
    ...chain("egress", egress(vpc)),
    ...chain("ingress", ingress(vpc)),
    ...chain(
      "guard",
      antiSpoofing(vpc),
      "type filter hook prerouting priority -300; policy accept;",
    ),
    ...chain("forward", forward, "type filter hook forward priority 0; policy drop;"),
    ...chain("input", input(vpc), "type filter hook input priority 0; policy drop;"),
    ...chain("output", output, "type filter hook output priority 0; policy accept;"),
    ...chain(
      "public",
      publicAddresses(vpc),
      "type nat hook prerouting priority -100; policy accept;",
    ),
    ...cuts(vpc),
    "}",
    "",
  ].join("\n");
}

/** The name of the router's end of a network interface. */
export function vethName(interfaceId: string): string {
  return `v-${interfaceId.replace(/^eni-/, "").slice(-12)}`;
}

/** The router's link to the host. */
export const uplink = "uplink";

const forward = [
  "ct state established,related accept",
  "ct state invalid drop",
  // Nothing a machine starts leaves the lab, and from the host only public addresses are reached.
  `oifname "${uplink}" drop`,
  `iifname "${uplink}" ct status & dnat != dnat drop`,
  "jump egress",
  "jump ingress",
  "ip daddr @interfaces accept",
];

const output = [
  // The dead are silent on EC2: a router of this kernel would say "unreachable" for them.
  "icmp type { destination-unreachable, time-exceeded, redirect } drop",
  "ct state established,related accept",
  "ip saddr @balancers jump egress",
  "ip saddr @balancers jump ingress",
];

function input(vpc: Vpc): string[] {
  const { metadata, resolver, awsApi, s3, debian } = addresses;
  return [
    'iifname "lo" accept',
    "ct state established,related accept",
    "ct state invalid drop",
    // Security groups do not apply to the resolver and to the metadata service.
    `ip daddr ${resolver} meta l4proto { tcp, udp } th dport 53 accept`,
    `ip daddr ${metadata} tcp dport 80 accept`,
    `ip daddr ${awsApi} ip saddr != @reaches_api drop`,
    `ip daddr ${s3} ip saddr != @reaches_s3 drop`,
    `ip daddr ${debian} ip saddr != @reaches_internet drop`,
    "jump egress",
    `ip daddr { ${awsApi}, ${s3} } tcp dport 443 accept`,
    `ip daddr ${debian} tcp dport { 80, 443 } accept`,
    "jump ingress",
    ...(vpc.balancers.length > 0 ? ["ip daddr @balancers accept"] : []),
  ];
}

/** Addresses by role, and the members of every group. */
function sets(vpc: Vpc): string[] {
  const balancers = vpc.balancers.flatMap((each) => each.addresses.map(({ address }) => address));
  const endpoints = vpc.subnets.some(({ interfaceEndpoints }) => interfaceEndpoints);
  return [
    ...addressSet("interfaces", [...vpc.interfaces.map(({ address }) => address), ...balancers]),
    ...addressSet("balancers", balancers),
    ...addressSet(
      "reaches_api",
      reach(vpc, ({ interfaceEndpoints }) => interfaceEndpoints),
    ),
    ...addressSet(
      "reaches_s3",
      reach(vpc, ({ s3Endpoint }) => s3Endpoint),
    ),
    ...addressSet(
      "reaches_internet",
      reach(vpc, () => false),
    ),
    ...addressSet("endpoint_users", endpointUsers(vpc)),
    ...vpc.securityGroups.flatMap(({ id }) =>
      addressSet(groupSet(id), [
        ...membersOf(vpc, id),
        // A group that only endpoints carry stands for the AWS API behind them.
        ...(endpoints && !carried(vpc, id) ? [addresses.awsApi] : []),
      ]),
    ),
  ];
}

/** Interfaces whose subnet has a way to a service: an endpoint, NAT, or an internet gateway and a public address. */
function reach(vpc: Vpc, endpoint: (subnet: Vpc["subnets"][number]) => boolean): string[] {
  return vpc.interfaces
    .filter((each) => {
      const subnet = vpc.subnets.find(({ id }) => id === each.subnetId);
      if (!subnet) return false;
      if (endpoint(subnet) || subnet.way === "nat") return true;
      return subnet.way === "internet" && each.publicAddress !== undefined;
    })
    .map(({ address }) => address);
}

function endpointUsers(vpc: Vpc): string[] {
  const served = new Set(
    vpc.subnets.filter(({ interfaceEndpoints }) => interfaceEndpoints).map(({ id }) => id),
  );
  return vpc.interfaces
    .filter(({ subnetId }) => served.has(subnetId))
    .map(({ address }) => address);
}

function membersOf(vpc: Vpc, group: string): string[] {
  return [
    ...vpc.interfaces
      .filter((each) => each.securityGroupIds.includes(group))
      .map(({ address }) => address),
    ...vpc.balancers
      .filter((each) => each.securityGroupIds.includes(group))
      .flatMap((each) => each.addresses.map(({ address }) => address)),
  ];
}

/** Whether a machine or a balancer carries the group. */
function carried(vpc: Vpc, group: string): boolean {
  return (
    vpc.interfaces.some(
      (each) => each.machineId !== undefined && each.securityGroupIds.includes(group),
    ) || vpc.balancers.some((each) => each.securityGroupIds.includes(group))
  );
}

function egress(vpc: Vpc): string[] {
  return [
    "ip saddr != @interfaces return",
    ...vpc.securityGroups.flatMap((group) => [
      ...group.egress.flatMap((rule) =>
        peer(vpc, rule, "daddr").map(
          (to) => `ip saddr @${groupSet(group.id)} ${to}${ports(rule)}return`,
        ),
      ),
      ...endpointEgress(vpc, group),
    ]),
    "counter drop",
  ];
}

/**
 * Interface endpoints have addresses of the VPC, which the lab's names do not resolve to: who may reach 443
 * somewhere in the VPC's range, and has endpoints in its subnet, may reach the API.
 */
function endpointEgress(vpc: Vpc, group: SecurityGroup): string[] {
  const allowed = group.egress.some(
    (rule) =>
      rule.peer.kind === "cidr" && overlap(rule.peer.cidr, vpc.cidr) && coversPort(rule, 443),
  );
  if (!allowed || endpointUsers(vpc).length === 0) return [];
  return [
    `ip saddr @${groupSet(group.id)} ip saddr @endpoint_users ip daddr ${addresses.awsApi} tcp dport 443 return`,
  ];
}

function ingress(vpc: Vpc): string[] {
  return [
    "ip daddr != @interfaces return",
    ...vpc.securityGroups.flatMap((group) =>
      group.ingress.flatMap((rule) =>
        peer(vpc, rule, "saddr").map(
          (from) => `ip daddr @${groupSet(group.id)} ${from}${ports(rule)}return`,
        ),
      ),
    ),
    "counter drop",
  ];
}

/** The match on the other side; nothing when the rule can match nothing. */
function peer(vpc: Vpc, rule: Rule, side: "saddr" | "daddr"): string[] {
  switch (rule.peer.kind) {
    case "cidr":
      return rule.peer.cidr === "0.0.0.0/0" ? [""] : [`ip ${side} ${rule.peer.cidr} `];
    case "group": {
      const { id } = rule.peer;
      const known = vpc.securityGroups.some((group) => group.id === id);
      return known ? [`ip ${side} @${groupSet(id)} `] : [];
    }
    case "prefixList":
      return [`ip ${side} ${addresses.s3} `];
  }
}

function ports(rule: Rule): string {
  switch (rule.protocol) {
    case "all":
      return "";
    case "icmp":
      return "meta l4proto icmp ";
    case "tcp":
    case "udp": {
      const { fromPort, toPort } = rule;
      if (fromPort === undefined || fromPort < 0) return `meta l4proto ${rule.protocol} `;
      const range =
        toPort === undefined || toPort === fromPort ? `${fromPort}` : `${fromPort}-${toPort}`;
      return `${rule.protocol} dport ${range} `;
    }
  }
}

function coversPort(rule: Rule, port: number): boolean {
  if (rule.protocol === "all") return true;
  if (rule.protocol !== "tcp") return false;
  return (rule.fromPort ?? 0) <= port && port <= (rule.toPort ?? rule.fromPort ?? 65535);
}

/** The metadata service tells machines apart by address, so nobody may use another's. */
function antiSpoofing(vpc: Vpc): string[] {
  return vpc.interfaces
    .filter(({ machineId }) => machineId !== undefined)
    .map(({ id, address }) => `iifname "${vethName(id)}" ip saddr != ${address} drop`);
}

function publicAddresses(vpc: Vpc): string[] {
  return vpc.interfaces
    .filter(
      (each): each is Interface & { publicAddress: string } => each.publicAddress !== undefined,
    )
    .map(({ publicAddress, address }) => `ip daddr ${publicAddress} dnat ip to ${address}`);
}

/** A cut zone talks to itself only; resolver and metadata are part of every host, so they stay. */
function cuts(vpc: Vpc): string[] {
  const rules = vpc.cutZones.flatMap((zone) => {
    const ranges = vpc.subnets.filter((subnet) => subnet.zone === zone).map(({ cidr }) => cidr);
    if (ranges.length === 0) return [];
    const inside = `{ ${ranges.join(", ")} }`;
    return [
      `ip saddr ${inside} ip daddr != ${inside} drop`,
      `ip daddr ${inside} ip saddr != ${inside} drop`,
    ];
  });
  if (rules.length === 0) return [];
  const local = ["ip daddr 169.254.0.0/16 accept", "ip saddr 169.254.0.0/16 accept"];
  return [
    // Before connection tracking: what is established is cut as well.
    ...chain(
      "cut_in",
      [...local, ...rules],
      "type filter hook prerouting priority -350; policy accept;",
    ),
    ...chain(
      "cut_out",
      [...local, ...rules],
      "type filter hook output priority -350; policy accept;",
    ),
  ];
}

function groupSet(id: string): string {
  return `g_${id.replaceAll("-", "_")}`;
}

function addressSet(name: string, members: readonly string[]): string[] {
  const unique = [...new Set(members)].sort();
  const elements = unique.length > 0 ? [`  elements = { ${unique.join(", ")} }`] : [];
  return [`set ${name} {`, "  type ipv4_addr", ...elements, "}"];
}

function chain(name: string, rules: readonly string[], hook?: string): string[] {
  return [
    `chain ${name} {`,
    ...(hook === undefined ? [] : [`  ${hook}`]),
    ...rules.map(indent),
    "}",
  ].map(indent);
}

function indent(line: string): string {
  return `  ${line}`;
}
