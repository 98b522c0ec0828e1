import { isIPv4 } from "node:net";

/** Packets that are lost on their way, for a fault: from any of these addresses to any of those. */
export interface Drop {
  readonly from: readonly string[];
  readonly to: readonly string[];
}

/** Drops by the name of the fault that asked for them. */
export type Drops = ReadonlyMap<string, readonly Drop[]>;

/**
 * The drops as an nftables table of their own, beside the VPC's filter: they change at once and in one transaction, without a look
 * at any record, because some faults last for less than a round trip. Each direction is said apart, so that one side can go on
 * speaking and hear nothing.
 */
export function renderDrops(drops: Drops): string {
  const rules = [...drops.values()].flat().map(({ from, to }) => {
    return `    ip saddr { ${list(from)} } ip daddr { ${list(to)} } counter drop`;
  });
  const chain = (name: string, hook: string): string[] => [
    `  chain ${name} {`,
    // Before connection tracking: what is established is lost as well.
    `    type filter hook ${hook} priority -360; policy accept;`,
    ...rules,
    "  }",
  ];
  return [
    "table inet lab_drops {}",
    "delete table inet lab_drops",
    ...(rules.length === 0
      ? []
      : [
          "table inet lab_drops {",
          ...chain("arriving", "prerouting"),
          // What the router itself answers: the AWS API, resolver, balancers.
          ...chain("leaving", "output"),
          "}",
        ]),
    "",
  ].join("\n");
}

function list(addresses: readonly string[]): string {
  const wrong = addresses.find((each) => !isIPv4(each));
  if (wrong !== undefined || addresses.length === 0) {
    throw new Error(`a drop needs IPv4 addresses on both sides, not "${wrong ?? ""}"`);
  }
  return [...new Set(addresses)].join(", ");
}
