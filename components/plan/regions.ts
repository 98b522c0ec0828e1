/** AWS regions and the zone letters that new accounts see there; "abc" where nothing else is known to be usual. */
const zoneLetters: Readonly<Record<string, string>> = {
  "af-south-1": "abc",
  "ap-east-1": "abc",
  "ap-northeast-1": "acd",
  "ap-northeast-2": "abc",
  "ap-northeast-3": "abc",
  "ap-south-1": "abc",
  "ap-south-2": "abc",
  "ap-southeast-1": "abc",
  "ap-southeast-2": "abc",
  "ap-southeast-3": "abc",
  "ap-southeast-4": "abc",
  "ap-southeast-5": "abc",
  "ap-southeast-7": "abc",
  "ca-central-1": "abd",
  "ca-west-1": "abc",
  "cn-north-1": "abc",
  "cn-northwest-1": "abc",
  "eu-central-1": "abc",
  "eu-central-2": "abc",
  "eu-north-1": "abc",
  "eu-south-1": "abc",
  "eu-south-2": "abc",
  "eu-west-1": "abc",
  "eu-west-2": "abc",
  "eu-west-3": "abc",
  "il-central-1": "abc",
  "me-central-1": "abc",
  "me-south-1": "abc",
  "mx-central-1": "abc",
  "sa-east-1": "abc",
  "us-east-1": "abc",
  "us-east-2": "abc",
  "us-gov-east-1": "abc",
  "us-gov-west-1": "abc",
  "us-west-1": "ab",
  "us-west-2": "abc",
};

/** Names of the regions this program knows, sorted. */
export const knownRegions: readonly string[] = Object.keys(zoneLetters).sort();

/** Whether a region is known. */
export function isKnownRegion(region: string): boolean {
  return Object.hasOwn(zoneLetters, region);
}

/** The zones used when none are named: the region's first three. */
export function defaultZones(region: string): string[] {
  const letters = isKnownRegion(region) ? (zoneLetters[region] ?? "") : "";
  return Array.from(letters, (letter) => region + letter);
}

/** Whether a zone's name is one of its region's: `eu-central-1b` of `eu-central-1`. Local and wavelength zones are not. */
export function isZoneOf(zone: string, region: string): boolean {
  return zone.startsWith(region) && /^[a-z]$/.test(zone.slice(region.length));
}
