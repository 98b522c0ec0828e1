/**
 * The world as the emulated AWS declares it, and what of it is real at the moment. The daemon computes a
 * `World` from the records of the API; `machines/reconcile.ts` makes it true and answers with `Observed`.
 * Everything here is plain data, so that a world can be compared, stored and written by hand in a test.
 */

/** Everything that shall exist. */
export interface World {
  region: string;
  vpcs: Vpc[];
  machines: Machine[];
  disks: Disk[];
}

/** A virtual network: one router namespace. */
export interface Vpc {
  id: string;
  cidr: string;
  subnets: Subnet[];
  securityGroups: SecurityGroup[];
  interfaces: Interface[];
  zones: HostedZone[];
  balancers: Balancer[];
  /** Availability zones that reach nothing outside themselves and are reached by nothing. */
  cutZones: string[];
}

/** A part of a VPC in one availability zone, with its way out. */
export interface Subnet {
  id: string;
  cidr: string;
  zone: string;
  /** What the route table's default route leads to. An internet gateway serves only public addresses. */
  way: "none" | "nat" | "internet";
  /** The route table has the S3 gateway endpoint. */
  s3Endpoint: boolean;
  /** Interface endpoints of the VPC serve this subnet. */
  interfaceEndpoints: boolean;
}

/** Stateful allow rules; what no rule allows is dropped. */
export interface SecurityGroup {
  id: string;
  ingress: Rule[];
  egress: Rule[];
}

/** One allow rule. Ports are absent when all are meant, and for icmp. */
export interface Rule {
  protocol: "tcp" | "udp" | "icmp" | "all";
  fromPort?: number;
  toPort?: number;
  peer: Peer;
}

/** The other side of a rule. The only prefix list of the lab is that of S3. */
export type Peer =
  | { kind: "cidr"; cidr: string }
  | { kind: "group"; id: string }
  | { kind: "prefixList"; id: string };

/** An elastic network interface; it exists without a machine too. */
export interface Interface {
  id: string;
  subnetId: string;
  address: string;
  mac: string;
  securityGroupIds: string[];
  /** An elastic IP address, reachable from the host. */
  publicAddress?: string;
  machineId?: string;
}

/** A private hosted zone that the VPC's resolver answers from. */
export interface HostedZone {
  name: string;
  records: NameRecord[];
}

/** A record set. SRV values are "priority weight port target". */
export interface NameRecord {
  name: string;
  type: "A" | "CNAME" | "SRV";
  ttl: number;
  values: string[];
}

/** A network load balancer with its address in each subnet. */
export interface Balancer {
  arn: string;
  dnsName: string;
  addresses: { subnetId: string; address: string }[];
  securityGroupIds: string[];
  listeners: Listener[];
}

/** A TCP listener and the one target group it forwards to. */
export interface Listener {
  port: number;
  idleTimeoutSeconds: number;
  targetGroup: TargetGroup;
}

/** Targets by address, and how they are probed. */
export interface TargetGroup {
  arn: string;
  port: number;
  healthCheck: HealthCheck;
  targets: { address: string; port: number }[];
}

/** A target group's health check. `path` is asked for when the protocol is HTTP. */
export interface HealthCheck {
  protocol: string;
  port: number;
  path?: string;
  intervalSeconds: number;
  timeoutSeconds: number;
  healthyThreshold: number;
  unhealthyThreshold: number;
}

/** An instance. What it boots with comes from the metadata service, by its address. */
export interface Machine {
  id: string;
  vpcId: string;
  /** Network interfaces by device index. */
  interfaceIds: string[];
  hostname: string;
  memoryMiB: number;
  desired: "running" | "stopped" | "terminated";
}

/** A volume; its file lives as long as it is part of the world, whatever happens to machines. */
export interface Disk {
  id: string;
  sizeGiB: number;
  attachedTo?: { machineId: string; device: string };
}

/** What is real: the answer to a world. */
export interface Observed {
  machines: Record<string, ObservedMachine>;
  /** Per target group, per "address:port". */
  targets: Record<string, Record<string, TargetHealth>>;
  disks: Record<string, ObservedDisk>;
}

/** A machine as it is. "booting": started, without a process 1 yet. "exited": off, by whatever cause. */
export interface ObservedMachine {
  state: "booting" | "running" | "exited";
  /** The machine's process 1 as the host numbers it. */
  leaderPid?: number;
  /** The machine's root folder as the host can read it; valid while the machine runs. */
  rootFolder?: string;
  /** When it went off (ISO 8601). */
  exitedAt?: string;
}

/** What a balancer thinks of a target. */
export type TargetHealth = "healthy" | "unhealthy" | "initial";

/** A volume as it is. */
export interface ObservedDisk {
  file: string;
  /** The loop device under it, while attached. */
  loop?: string;
  /** The machine in which it can be seen now, and under which name. */
  attachedTo?: { machineId: string; node: string };
}
