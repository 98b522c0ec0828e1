import {
  contains,
  formatCidr,
  isReserved,
  overlaps,
  parseAddress,
  parseCidr,
  type Cidr,
} from "./ipv4";
import {
  maxZones,
  memberPlaces,
  sizes,
  subnetBits,
  subnetLayout,
  toleratedFailures,
  zonesNeeded,
} from "./layout";
import { domainProblem } from "./names";
import { Egress, type ResolvedOptions } from "./options";
import type { Problem } from "./problems";
import { isKnownRegion, isZoneOf } from "./regions";

/** Smallest and largest subnets and VPCs of AWS. */
const awsPrefixes = { largestVpc: 16, smallestSubnet: 28 };

/** Most entries of a list of blocks; a security group takes 60 rules in each direction. */
const maxBlocks = 40;

/** Blocks in which no VPC can work. */
const unusableBlocks: Readonly<Record<string, string>> = {
  "127.0.0.0/8": "loopback",
  "169.254.0.0/16": "link-local, where AWS has its metadata, time and DNS services",
  "198.19.0.0/16": "used by AWS itself",
  "224.0.0.0/3": "multicast and reserved",
};

/** Checks everything about zones, addresses and names. */
export function validateNetwork(options: ResolvedOptions): Problem[] {
  return [
    ...zones(options),
    ...(options.existingNetwork === undefined ? vpcCidr(options) : existingNetwork(options)),
    ...egress(options),
    ...adminCidrs(options),
    ...clientCidrs(options),
    ...memberAddresses(options),
    ...domain(options),
  ];
}

function zones(options: ResolvedOptions): Problem[] {
  const { region, size } = options;
  const path = "zones";
  const found = options.zones.flatMap((zone, index): Problem[] =>
    !isKnownRegion(region) || isZoneOf(zone, region)
      ? []
      : [
          {
            path: `${path}[${index}]`,
            value: zone,
            rule: `this is not an availability zone of ${region}`,
            remedy: `name zones like ${region}a`,
          },
        ],
  );
  if (new Set(options.zones).size !== options.zones.length) {
    found.push({
      path,
      value: options.zones,
      rule: "a zone is named twice",
      remedy: "name each zone once",
    });
  }
  if (options.zones.length > maxZones) {
    found.push({
      path,
      value: options.zones,
      rule: `the VPC is laid out for ${maxZones} zones`,
      remedy: `name at most ${maxZones}`,
    });
  }
  if (sizes.includes(size) && options.zones.length < zonesNeeded(size)) {
    found.push({
      path,
      value: options.zones,
      rule: `${size} members tolerate ${toleratedFailures(size)} failures, so that surviving the loss of a zone needs ${zonesNeeded(size)} zones`,
      remedy: size === 1 ? "name a zone" : "name more zones, or choose another region, or size 1",
    });
  }
  return found;
}

function vpcCidr(options: ResolvedOptions): Problem[] {
  const value = options.vpcCidr;
  const path = "vpcCidr";
  const cidr = parseCidr(value);
  if (cidr === undefined) {
    return [malformed(path, value)];
  }
  const smallest = awsPrefixes.smallestSubnet - subnetBits;
  if (cidr.prefix < awsPrefixes.largestVpc) {
    return [
      {
        path,
        value,
        rule: `a VPC is a /${awsPrefixes.largestVpc} at most`,
        remedy: "choose a smaller block",
      },
    ];
  }
  if (cidr.prefix > smallest) {
    return [
      {
        path,
        value,
        rule: `its subnets would be /${cidr.prefix + subnetBits}, too small: AWS's smallest is /${awsPrefixes.smallestSubnet}, of whose addresses it keeps five`,
        remedy: `choose a /${smallest} or larger`,
      },
    ];
  }
  return Object.entries(unusableBlocks).flatMap(([block, use]): Problem[] =>
    overlapsText(cidr, block)
      ? [
          {
            path,
            value,
            rule: `it overlaps ${block} (${use})`,
            remedy: "choose a private block, for instance 10.42.0.0/16",
          },
        ]
      : [],
  );
}

function existingNetwork(options: ResolvedOptions): Problem[] {
  const { vpcId, subnets } = options.existingNetwork ?? { vpcId: "", subnets: [] };
  const path = "existingNetwork";
  const id = (at: string, value: unknown, kind: string): Problem[] =>
    typeof value === "string" && !new RegExp(`^${kind}-[0-9a-f]{8,17}$`).test(value)
      ? [
          {
            path: at,
            value,
            rule: `this is not the id of a ${kind}`,
            remedy: `give an id like ${kind}-0123456789abcdef0`,
          },
        ]
      : [];
  const found = [
    ...id(`${path}.vpcId`, vpcId, "vpc"),
    ...subnets.flatMap((each, index) => [
      ...id(`${path}.subnets[${index}].privateSubnetId`, each.privateSubnetId, "subnet"),
      ...id(`${path}.subnets[${index}].publicSubnetId`, each.publicSubnetId, "subnet"),
    ]),
  ];
  if (subnets.length === 0) {
    found.push({
      path: `${path}.subnets`,
      value: subnets,
      rule: "an existing VPC comes with its subnets: nothing can be guessed about them",
      remedy: "give zone, privateSubnetId and publicSubnetId for every zone",
    });
  }
  const covered = subnets.map((each) => each.zone);
  if (new Set(covered).size !== covered.length) {
    found.push({
      path: `${path}.subnets`,
      value: covered,
      rule: "a zone has two entries",
      remedy: "give one private and one public subnet per zone",
    });
  }
  const missing = options.zones.filter((zone) => !covered.includes(zone));
  if (subnets.length > 0 && missing.length > 0) {
    found.push({
      path: `${path}.subnets`,
      value: covered,
      rule: `there are no subnets for ${missing.join(", ")}`,
      remedy: "add them, or leave these zones out of `zones`",
    });
  }
  return found;
}

function egress({ egress: value }: ResolvedOptions): Problem[] {
  const choices: readonly string[] = Object.values(Egress);
  return choices.includes(value)
    ? []
    : [
        {
          path: "egress",
          value,
          rule: `the way out is one of ${choices.join(", ")}`,
          remedy: "choose one of them, or leave it out for nat",
        },
      ];
}

function adminCidrs(options: ResolvedOptions): Problem[] {
  const path = "adminCidrs";
  const found = blocks(path, options.adminCidrs);
  if (options.adminCidrs.length === 0) {
    found.push({
      path,
      value: options.adminCidrs,
      rule: "Pulumi itself reaches the members through the bastion, so somebody must be let in",
      remedy:
        "name the block of the machine that runs `pulumi up`, for instance its address with /32",
    });
  }
  options.adminCidrs.forEach((value, index) => {
    const cidr = parseCidr(value);
    if (cidr === undefined) {
      return;
    }
    if (cidr.prefix < 8 && !options.allowAdminFromAnywhere) {
      found.push({
        path: `${path}[${index}]`,
        value,
        rule: "this lets the whole internet try the bastion's door",
        remedy: "name your own blocks, or set allowAdminFromAnywhere to true if that is meant",
      });
    } else if (options.existingNetwork === undefined && overlapsText(cidr, options.vpcCidr)) {
      if (cidr.prefix >= 8) {
        found.push({
          path: `${path}[${index}]`,
          value,
          rule: `it overlaps the VPC (${options.vpcCidr}); administrators come from outside`,
          remedy: "name the blocks they come from, or give the VPC another vpcCidr",
        });
      }
    }
  });
  return found;
}

function clientCidrs(options: ResolvedOptions): Problem[] {
  const path = "clientCidrs";
  const world = options.clientCidrs.flatMap((value, index): Problem[] => {
    const cidr = parseCidr(value);
    return cidr !== undefined && cidr.prefix < 8
      ? [
          {
            path: `${path}[${index}]`,
            value,
            rule: "etcd's client port is never opened to everybody",
            remedy: "name the blocks of your clients, or give them the clientSecurityGroup",
          },
        ]
      : [];
  });
  return [...blocks(path, options.clientCidrs), ...world];
}

/** What holds for every list of blocks. */
function blocks(path: string, values: readonly string[]): Problem[] {
  const found: Problem[] = [];
  const seen: Cidr[] = [];
  values.forEach((value, index) => {
    const cidr = parseCidr(value);
    if (cidr === undefined) {
      found.push(malformed(`${path}[${index}]`, value));
      return;
    }
    const other = seen.find((each) => overlaps(each, cidr));
    if (other !== undefined) {
      found.push({
        path: `${path}[${index}]`,
        value,
        rule: `it overlaps ${formatCidr(other)} of the same list`,
        remedy: "keep the larger of the two",
      });
    }
    seen.push(cidr);
  });
  if (values.length > maxBlocks) {
    found.push({
      path,
      value: `${values.length} blocks`,
      rule: `a security group has room for ${maxBlocks} of them`,
      remedy: "join neighbouring blocks",
    });
  }
  return found;
}

function malformed(path: string, value: string): Problem {
  return {
    path,
    value,
    rule: "a CIDR is four numbers up to 255, a slash and a prefix length, with all bits after the prefix zero",
    remedy: "write it like 10.42.0.0/16, or 203.0.113.7/32 for one address",
  };
}

function overlapsText(cidr: Cidr, text: string): boolean {
  const other = parseCidr(text);
  return other !== undefined && overlaps(cidr, other);
}

function memberAddresses(options: ResolvedOptions): Problem[] {
  const places = sizes.includes(options.size) ? memberPlaces(options.size, options.zones) : [];
  const layout =
    options.existingNetwork === undefined &&
    vpcCidr(options).length === 0 &&
    options.zones.length <= maxZones
      ? subnetLayout(options.vpcCidr, options.zones)
      : [];
  const taken = new Map<string, string>();
  return Object.entries(options.memberAddresses).flatMap(([member, value]): Problem[] => {
    const path = `memberAddresses[${JSON.stringify(member)}]`;
    const place = places.find(({ name }) => name === member);
    const address = parseAddress(value);
    const subnet = parseCidr(layout.find(({ zone }) => zone === place?.zone)?.privateCidr ?? "");
    const problem = (rule: string, remedy: string): Problem[] => [{ path, value, rule, remedy }];
    if (place === undefined) {
      return problem(
        "there is no member of this name",
        places.length === 0 ? "correct `size` first" : `members are m1 to m${places.length}`,
      );
    }
    if (address === undefined) {
      return problem("this is not an IPv4 address", "write it like 10.42.0.10");
    }
    const other = taken.get(value);
    if (other !== undefined) {
      return problem(`${other} has it already`, "give every member an address of its own");
    }
    taken.set(value, member);
    if (subnet !== undefined && !contains(subnet, address)) {
      return problem(
        `it is outside the private subnet of ${place.zone}, ${formatCidr(subnet)}`,
        "choose one inside",
      );
    }
    if (subnet !== undefined && isReserved(subnet, address)) {
      return problem(
        "AWS keeps the first four addresses of a subnet and the last one",
        "choose another",
      );
    }
    return [];
  });
}

function domain({ domain: value }: ResolvedOptions): Problem[] {
  const rule = domainProblem(value);
  return rule === undefined
    ? []
    : [{ path: "domain", value, rule, remedy: "choose a domain like etcd.internal" }];
}
