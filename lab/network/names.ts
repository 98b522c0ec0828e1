import { addresses } from "../paths.ts";
import type { NameRecord, Vpc } from "../world.ts";

/** What the resolver of a VPC is started with: its settings, and the file of plain addresses it can re-read. */
export interface NameFiles {
  settings: string;
  hosts: string;
}

/**
 * The VPC's resolver: AWS's names lead to the lab's API, Debian's archive to the host's copy of it, the VPC's own
 * names and zones are answered, and everything else does not exist, at once. No query leaves the machine: there is no upstream.
 */
export function renderNames(vpc: Vpc, region: string, hostsFile: string): NameFiles {
  const records = vpc.zones.flatMap((zone) => zone.records);
  return {
    settings: [
      "port=53",
      `listen-address=${addresses.resolver}`,
      "bind-interfaces",
      "no-resolv",
      "no-hosts",
      "no-poll",
      "cache-size=0",
      // It keeps the rights to read its files again after they have changed.
      "user=root",
      "group=root",
      "local=/#/",
      `address=/amazonaws.com/${addresses.awsApi}`,
      ...s3Names(region).map((name) => `address=/${name}/${addresses.s3}`),
      ...debianNames.map((name) => `address=/${name}/${addresses.debian}`),
      // A balancer that does not exist has no name, although its name would end like the API's.
      `local=/elb.${region}.amazonaws.com/`,
      `addn-hosts=${hostsFile}`,
      ...records.flatMap(aliasLines),
      ...records.flatMap(serviceLines),
      "",
    ].join("\n"),
    hosts: [...hostLines(vpc, region), ""].join("\n"),
  };
}

/** Under these names, and those below them, Debian's archive is known to Debian's images. */
export const debianNames = ["deb.debian.org", "security.debian.org"] as const;

/** The domain in which instances find each other by name. */
export function computeDomain(region: string): string {
  return region === "us-east-1" ? "ec2.internal" : `${region}.compute.internal`;
}

function s3Names(region: string): string[] {
  return [
    ...new Set([
      "s3.amazonaws.com",
      ...[region, "us-east-1"].flatMap((each) => [
        `s3.${each}.amazonaws.com`,
        `s3.dualstack.${each}.amazonaws.com`,
      ]),
    ]),
  ];
}

function hostLines(vpc: Vpc, region: string): string[] {
  const lines = [`${addresses.metadata} instance-data instance-data.${computeDomain(region)}`];
  for (const { address } of vpc.interfaces) {
    const name = `ip-${address.replaceAll(".", "-")}`;
    lines.push(`${address} ${name}.${computeDomain(region)} ${name}`);
  }
  for (const { dnsName, addresses: places } of vpc.balancers) {
    for (const { address } of places) lines.push(`${address} ${plain(dnsName)}`);
  }
  for (const { records } of vpc.zones) {
    for (const record of records) {
      if (record.type === "A")
        for (const value of record.values) lines.push(`${value} ${plain(record.name)}`);
    }
  }
  return [...new Set(lines)];
}

function aliasLines(record: NameRecord): string[] {
  if (record.type !== "CNAME") return [];
  return record.values.map((value) => `cname=${plain(record.name)},${plain(value)},${record.ttl}`);
}

function serviceLines(record: NameRecord): string[] {
  if (record.type !== "SRV") return [];
  return record.values.map((value) => {
    const [priority, weight, port, target] = value.trim().split(/\s+/);
    if (target === undefined) throw new Error(`SRV record ${record.name} has the value "${value}"`);
    return `srv-host=${plain(record.name)},${plain(target)},${port},${priority},${weight}`;
  });
}

function plain(name: string): string {
  return name.replace(/\.$/, "").toLowerCase();
}
