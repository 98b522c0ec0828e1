/** A small world by hand and a metadata service for it: what the daemon does for the real thing, in a page. */
import { createServer, type Server } from "node:http";
import type { Interface, Machine, Rule, World } from "../../lab/world.ts";

/** The tests' own range and public addresses, apart from those of a lab that may run beside. */
export const range = "10.97.0.0/16";

/** Allows a protocol and ports from or to a range. */
export function allow(ports: [number, number] | undefined, peer: Rule["peer"]): Rule {
  if (!ports) return { protocol: "all", peer };
  return { protocol: "tcp", fromPort: ports[0], toPort: ports[1], peer };
}

const everywhere = { kind: "cidr", cidr: "0.0.0.0/0" } as const;

/** One machine with its one network interface. */
export function machineWith(
  name: string,
  each: Pick<Interface, "subnetId" | "address" | "securityGroupIds"> & { publicAddress?: string },
): { machine: Machine; interface: Interface } {
  const id = `i-${name}`;
  const last = each.address.split(".").slice(2).map(Number);
  const mac = `02:00:0a:61:${last.map((part) => part.toString(16).padStart(2, "0")).join(":")}`;
  return {
    machine: {
      id,
      vpcId: "vpc-test",
      interfaceIds: [`eni-${name}`],
      hostname: `ip-${each.address.replaceAll(".", "-")}`,
      memoryMiB: 512,
      desired: "running",
    },
    interface: { id: `eni-${name}`, mac, machineId: id, ...each },
  };
}

/** A VPC of two subnets with a bastion that has a public address and one member behind it. */
export function smallWorld(): World {
  const bastion = machineWith("bastion", {
    subnetId: "subnet-public",
    address: "10.97.0.10",
    securityGroupIds: ["sg-bastion"],
    publicAddress: "198.19.255.211",
  });
  const member = machineWith("member", {
    subnetId: "subnet-private",
    address: "10.97.1.10",
    securityGroupIds: ["sg-member"],
  });
  return {
    region: "eu-central-1",
    vpcs: [
      {
        id: "vpc-test",
        cidr: range,
        subnets: [
          subnet("subnet-public", "10.97.0.0/24", "eu-central-1a", "internet"),
          subnet("subnet-private", "10.97.1.0/24", "eu-central-1b", "nat"),
        ],
        securityGroups: [
          {
            id: "sg-bastion",
            ingress: [allow([22, 22], { kind: "cidr", cidr: "198.18.0.0/15" })],
            egress: [allow(undefined, everywhere)],
          },
          {
            id: "sg-member",
            ingress: [allow([22, 22], { kind: "group", id: "sg-bastion" })],
            egress: [allow([443, 443], everywhere)],
          },
        ],
        interfaces: [bastion.interface, member.interface],
        zones: [],
        balancers: [],
        cutZones: [],
      },
    ],
    machines: [bastion.machine, member.machine],
    disks: [],
  };
}

function subnet(id: string, cidr: string, zone: string, way: "nat" | "internet") {
  return { id, cidr, zone, way, s3Endpoint: true, interfaceEndpoints: false };
}

/**
 * A metadata service that speaks version 2 only and knows machines by the address the router tells. Serves
 * the least that cloud-init asks for.
 */
export function metadataService(world: World, publicKey: string): Server {
  return createServer((request, response) => {
    const caller = String(request.headers["x-forwarded-for"]);
    const each = world.vpcs[0]?.interfaces.find(({ address }) => address === caller);
    const path = (request.url ?? "").replace(/^\/[^/]+\//, "").replace(/\/$/, "");
    if (request.method === "PUT") return void response.end(`token-of-${caller}`);
    if (request.headers["x-aws-ec2-metadata-token"] !== `token-of-${caller}`) {
      return void response.writeHead(401).end();
    }
    const answers: Record<string, string> = {
      "meta-data": "instance-id\nlocal-hostname\npublic-keys/\nlocal-ipv4",
      "meta-data/instance-id": each?.machineId ?? "",
      "meta-data/local-hostname": `ip-${caller.replaceAll(".", "-")}.eu-central-1.compute.internal`,
      "meta-data/local-ipv4": caller,
      "meta-data/public-keys": "0=test",
      "meta-data/public-keys/0": "openssh-key",
      "meta-data/public-keys/0/openssh-key": publicKey,
      "user-data": "#cloud-config\nwrite_files:\n- path: /etc/from-user-data\n  content: written\n",
    };
    const answer = answers[path];
    if (answer === undefined) return void response.writeHead(404).end();
    response.end(answer);
  });
}
