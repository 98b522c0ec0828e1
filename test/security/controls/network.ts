import { altered, at, each, having, ofType, type Control } from "#security/controls/control";
import { type, type Declared } from "#security/controls/declared";

/** Everybody's addresses, in any way of writing them. */
const isEverybody = (cidr: unknown): boolean => /\/0$/.test(String(cidr));

/** Who may connect to what. */
export const network: readonly Control<Declared>[] = [
  {
    id: "no-ingress-from-everywhere",
    what: "no rule lets anybody in from everywhere, and no group has rules of its own beside the table",
    sources: ["CT.EC2.PR.3", "CT.EC2.PR.4", "EC2.18", "EC2.19", "DESIGN 3"],
    check: (resources) => [
      ...each(resources, [type.ingress], {
        "from somewhere": (one) =>
          !isEverybody(one.inputs["cidrIpv4"]) && one.inputs["cidrIpv6"] === undefined,
      }),
      ...ofType(resources, type.group)
        .filter(({ inputs }) => inputs["ingress"] !== undefined || inputs["egress"] !== undefined)
        .map(({ name }) => `group ${name} has rules inside`),
    ],
    mutants: {
      "from everywhere": altered(type.ingress, "cidrIpv4", "0.0.0.0/0"),
      "from half of it": altered(type.ingress, "cidrIpv4", "128.0.0.0/0"),
      "from everywhere, in IPv6": altered(type.ingress, "cidrIpv6", "::/0"),
      "a rule inside a group": altered(type.group, "ingress", [{ fromPort: 22 }]),
    },
  },
  {
    id: "one-port-a-rule",
    what: "every rule is TCP on one port with one peer: clients 2379, peers 2380, the balancer's check 2381, SSH 22 from the bastion, 443 to AWS",
    sources: ["DESIGN 3"],
    check: (resources) =>
      each(resources, [type.ingress, type.egress], {
        TCP: (one) => one.inputs["ipProtocol"] === "tcp",
        "one port": (one) => one.inputs["fromPort"] === one.inputs["toPort"],
        "one of ours": (one) =>
          [22, 443, 2379, 2380, 2381].includes(Number(one.inputs["fromPort"])),
        "one peer": (one) =>
          ["cidrIpv4", "referencedSecurityGroupId", "prefixListId"].filter(
            (peer) => one.inputs[peer] !== undefined,
          ).length === 1,
      }),
    mutants: {
      "all protocols": altered(type.ingress, "ipProtocol", "-1"),
      "a range": altered(type.ingress, "toPort", 65_535),
      "another port": (resources) =>
        altered(type.egress, "toPort", 80)(altered(type.egress, "fromPort", 80)(resources)),
    },
  },
  {
    id: "ssh-from-the-bastion",
    what: "a member's SSH is open to the bastion's group alone, its peer port to members alone",
    sources: ["DESIGN 3"],
    check: (resources) => {
      const from = (port: number): (readonly [string, string])[] =>
        ofType(resources, type.ingress)
          .filter(({ name, inputs }) => inputs["fromPort"] === port && /members-from/.test(name))
          .map(({ name, inputs }) => [name, String(inputs["referencedSecurityGroupId"])] as const);
      const group = (part: string): string =>
        String(
          ofType(resources, type.ingress).find(({ name }) =>
            new RegExp(`-${part}-from-`).test(name),
          )?.inputs["securityGroupId"],
        );
      const wrong = (port: number, part: string): string[] => {
        const rules = from(port);
        if (rules.length !== 1) return [`${rules.length} rules for ${port}`];
        return rules
          .filter(([, peer]) => peer !== group(part))
          .map(([name]) => `${name} is not from ${part}`);
      };
      return [...wrong(22, "bastion"), ...wrong(2380, "members")];
    },
    mutants: {
      "SSH from clients": (resources) =>
        altered(
          type.ingress,
          "referencedSecurityGroupId",
          "sg-clients",
          /members-from-bastion-ssh/,
        )(resources),
      "peers from the balancer": altered(
        type.ingress,
        "referencedSecurityGroupId",
        "sg-balancer",
        /members-from-members-peer/,
      ),
      "SSH from an address as well": having({
        type: type.ingress,
        name: "etcd-firewall-members-from-somewhere",
        inputs: { ipProtocol: "tcp", fromPort: 22, toPort: 22, cidrIpv4: "198.51.100.0/24" },
      }),
    },
  },
  {
    id: "balancer-inside",
    what: "the balancer has no address outside the VPC, and a security group",
    sources: ["DESIGN 3"],
    check: (resources) =>
      each(resources, [type.balancer], {
        internal: (one) => one.inputs["internal"] === true,
        "in a group": (one) => at(one.inputs, "securityGroups.0") !== undefined,
      }),
    mutants: {
      "open to the internet": altered(type.balancer, "internal", false),
      "without a group": altered(type.balancer, "securityGroups", []),
    },
  },
];
