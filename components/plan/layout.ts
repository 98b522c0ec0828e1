import { contains, formatCidr, parseAddress, parseCidr, subBlock } from "./ipv4";

/** Zones, subnets and members: who lives where. */

/** The subnets of one zone. */
export interface ZoneSubnets {
  readonly zone: string;
  readonly publicCidr: string;
  readonly privateCidr: string;
}

/** Bits by which a subnet's prefix is longer than its VPC's: sixteen blocks, eight private and eight public. */
export const subnetBits = 4;

/** Most zones that the layout has blocks for. */
export const maxZones = 8;

/**
 * Subnets per zone. A zone's blocks depend only on its position, so that a zone can be appended later without moving the others.
 * The private blocks are the lower half of the VPC, the public ones the upper half.
 */
export function subnetLayout(vpcCidr: string, zones: readonly string[]): ZoneSubnets[] {
  const vpc = parseCidr(vpcCidr);
  if (vpc === undefined || zones.length > maxZones) {
    throw new Error(`no layout for ${zones.length} zones in ${vpcCidr}`);
  }
  return zones.map((zone, index) => ({
    zone,
    privateCidr: formatCidr(subBlock(vpc, subnetBits, index)),
    publicCidr: formatCidr(subBlock(vpc, subnetBits, maxZones + index)),
  }));
}

/** A member and its zone. */
export interface MemberPlace {
  readonly name: string;
  readonly zone: string;
}

/** Members m1, m2, … dealt to the zones in turn: member n's place never depends on how many come after it. */
export function memberPlaces(size: number, zones: readonly string[]): MemberPlace[] {
  return Array.from({ length: size }, (_, index) => ({
    name: `m${index + 1}`,
    zone: zones[index % zones.length] ?? "",
  }));
}

/** Sizes a cluster may have. */
export const sizes: readonly number[] = [1, 3, 5, 7];

/** How many members must agree. */
export function quorum(size: number): number {
  return Math.floor(size / 2) + 1;
}

/** How many members may fail. */
export function toleratedFailures(size: number): number {
  return size - quorum(size);
}

/** Fewest zones with which the loss of any one leaves a quorum. One member survives no loss, so any one zone will do. */
export function zonesNeeded(size: number): number {
  return size === 1 ? 1 : Math.ceil(size / Math.max(1, toleratedFailures(size)));
}

/** Name of the zone whose private subnet holds an address. */
export function zoneOfAddress(
  address: string,
  subnets: readonly ZoneSubnets[],
): string | undefined {
  const number = parseAddress(address);
  return subnets.find((subnet) => {
    const cidr = parseCidr(subnet.privateCidr);
    return number !== undefined && cidr !== undefined && contains(cidr, number);
  })?.zone;
}
