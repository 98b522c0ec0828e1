import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { servedNames } from "../../lab/network/authority.ts";
import { parseLinks, planLinks, type LinkState, type Plugged } from "../../lab/network/links.ts";
import { renderNames } from "../../lab/network/names.ts";
import { readTargets, renderProxy } from "../../lab/network/proxy.ts";
import { bounds, gateway, overlap, toAddress, toNumber } from "../../lab/network/ranges.ts";
import { renderRules, vethName } from "../../lab/network/rules.ts";
import { renderServerStates } from "../../lab/network/serverStates.ts";
import type { Vpc } from "../../lab/world.ts";

/** Texts the network is made of. `node --test --test-update-snapshots` writes the files under golden/ anew. */
const golden = (name: string) => join(import.meta.dirname, "golden", name);
const asIs = { serializers: [(value: unknown) => String(value)] };

/** A VPC with one of everything. */
function sampleVpc(): Vpc {
  const cidr = (value: string) => ({ kind: "cidr", cidr: value }) as const;
  const group = (id: string) => ({ kind: "group", id }) as const;
  return {
    id: "vpc-1",
    cidr: "10.42.0.0/16",
    subnets: [
      {
        id: "s-public",
        cidr: "10.42.128.0/24",
        zone: "eu-central-1a",
        way: "internet",
        s3Endpoint: false,
        interfaceEndpoints: false,
      },
      {
        id: "s-a",
        cidr: "10.42.0.0/24",
        zone: "eu-central-1a",
        way: "nat",
        s3Endpoint: true,
        interfaceEndpoints: false,
      },
      {
        id: "s-b",
        cidr: "10.42.1.0/24",
        zone: "eu-central-1b",
        way: "none",
        s3Endpoint: true,
        interfaceEndpoints: true,
      },
    ],
    securityGroups: [
      {
        id: "sg-bastion",
        ingress: [{ protocol: "tcp", fromPort: 22, toPort: 22, peer: cidr("198.18.0.0/15") }],
        egress: [{ protocol: "all", peer: cidr("0.0.0.0/0") }],
      },
      {
        id: "sg-members",
        ingress: [
          { protocol: "tcp", fromPort: 2379, toPort: 2380, peer: group("sg-members") },
          { protocol: "tcp", fromPort: 22, toPort: 22, peer: group("sg-bastion") },
          { protocol: "icmp", peer: cidr("10.42.0.0/16") },
          { protocol: "tcp", fromPort: 1, toPort: 1, peer: group("sg-gone") },
        ],
        egress: [
          { protocol: "tcp", fromPort: 2379, toPort: 2380, peer: group("sg-members") },
          { protocol: "tcp", fromPort: 443, toPort: 443, peer: group("sg-endpoints") },
          {
            protocol: "tcp",
            fromPort: 443,
            toPort: 443,
            peer: { kind: "prefixList", id: "pl-s3" },
          },
        ],
      },
      {
        id: "sg-balancer",
        ingress: [{ protocol: "tcp", fromPort: 2379, toPort: 2379, peer: cidr("10.42.0.0/16") }],
        egress: [{ protocol: "tcp", fromPort: 0, toPort: 65535, peer: group("sg-members") }],
      },
      { id: "sg-endpoints", ingress: [], egress: [] },
    ],
    interfaces: [
      {
        id: "eni-0123456789abcdef0",
        subnetId: "s-public",
        address: "10.42.128.5",
        mac: "02:00:00:00:00:01",
        securityGroupIds: ["sg-bastion"],
        publicAddress: "198.19.0.7",
        machineId: "i-b",
      },
      {
        id: "eni-m1",
        subnetId: "s-a",
        address: "10.42.0.10",
        mac: "02:00:00:00:00:02",
        securityGroupIds: ["sg-members"],
        machineId: "i-1",
      },
      {
        id: "eni-m2",
        subnetId: "s-b",
        address: "10.42.1.10",
        mac: "02:00:00:00:00:03",
        securityGroupIds: ["sg-members"],
      },
    ],
    zones: [
      {
        name: "etcd.internal",
        records: [
          { name: "m1.etcd.internal.", type: "A", ttl: 60, values: ["10.42.0.10"] },
          {
            name: "Lb.etcd.internal",
            type: "CNAME",
            ttl: 30,
            values: ["lb-1.elb.eu-central-1.amazonaws.com."],
          },
          {
            name: "_etcd-client-ssl._tcp.etcd.internal",
            type: "SRV",
            ttl: 60,
            values: ["0 5 2379 m1.etcd.internal."],
          },
        ],
      },
    ],
    balancers: [
      {
        arn: "arn:lb",
        dnsName: "lb-1.elb.eu-central-1.amazonaws.com",
        addresses: [
          { subnetId: "s-a", address: "10.42.0.20" },
          { subnetId: "s-b", address: "10.42.1.20" },
        ],
        securityGroupIds: ["sg-balancer"],
        listeners: [
          {
            port: 2379,
            idleTimeoutSeconds: 350,
            targetGroup: {
              arn: "arn:tg",
              port: 2379,
              healthCheck: {
                protocol: "HTTP",
                port: 2381,
                path: "/readyz",
                intervalSeconds: 10,
                timeoutSeconds: 6,
                healthyThreshold: 3,
                unhealthyThreshold: 2,
              },
              targets: [
                { address: "10.42.0.10", port: 2379 },
                { address: "10.42.1.10", port: 2379 },
              ],
            },
          },
        ],
      },
    ],
    cutZones: ["eu-central-1b"],
  };
}

function pluggedOf(vpc: Vpc): Plugged[] {
  return vpc.interfaces
    .filter(({ machineId }) => machineId !== undefined)
    .map((each) => ({
      interface: each,
      namespace: `ecl-${each.machineId ?? ""}`,
      incarnation: 7,
      name: "ens5",
      first: true,
    }));
}

test("the packet filter", (t) => {
  t.assert.fileSnapshot(renderRules(sampleVpc()), golden("rules.nft"), asIs);
});

test("the resolver's files", (t) => {
  const { settings, hosts } = renderNames(sampleVpc(), "eu-central-1", "/lab/hosts");
  t.assert.fileSnapshot(settings, golden("names.conf"), asIs);
  t.assert.fileSnapshot(hosts, golden("hosts.txt"), asIs);
});

test("the proxy's configuration", (t) => {
  const places = {
    certificate: "/lab/server.pem",
    front: "/lab/front.sock",
    metadata: "/lab/imds.sock",
    archive: "/lab/archive.sock",
    statistics: "/lab/proxy.sock",
    serverStates: "/lab/proxy.states",
  };
  t.assert.fileSnapshot(renderProxy(sampleVpc(), places), golden("proxy.cfg"), asIs);
});

test("an empty VPC has a filter that lets nothing through but names and metadata", () => {
  const vpc = { ...sampleVpc(), securityGroups: [], interfaces: [], balancers: [], cutZones: [] };
  const rules = renderRules(vpc);
  assert.doesNotMatch(rules, /elements/);
  assert.match(rules, /hook forward priority 0; policy drop/);
  assert.match(rules, /hook input priority 0; policy drop/);
});

test("a cut zone has no rules once it is healed", () => {
  assert.match(renderRules(sampleVpc()), /chain cut_in/);
  assert.doesNotMatch(renderRules({ ...sampleVpc(), cutZones: [] }), /chain cut/);
});

test("links: planned once, then nothing is left to do", () => {
  const vpc = sampleVpc();
  const plugged = pluggedOf(vpc);
  const plan = planLinks(vpc, plugged, [{ name: "lo", alias: "", addresses: ["127.0.0.1/8"] }]);
  assert.deepEqual([...plan.machines.keys()], ["ecl-i-b", "ecl-i-1"]);
  const after = replay(plan.router);
  assert.deepEqual(planLinks(vpc, plugged, after), {
    surplus: [],
    router: [],
    machines: new Map(),
  });
});

test("links: what is no longer plugged in goes, and what is plugged in elsewhere is made anew", () => {
  const vpc = sampleVpc();
  const before = replay(planLinks(vpc, pluggedOf(vpc), []).router);
  const [bastion, member] = pluggedOf(vpc);
  assert.ok(bastion && member);
  const moved = { ...member, namespace: "ecl-i-9" };
  const { surplus, machines } = planLinks(vpc, [moved], before);
  assert.deepEqual(surplus, [vethName("eni-0123456789abcdef0"), vethName("eni-m1")]);
  assert.deepEqual([...machines.keys()], ["ecl-i-9"]);
  const reborn = { ...member, incarnation: 8 };
  assert.deepEqual(planLinks(vpc, [bastion, reborn], before).surplus, [vethName("eni-m1")]);
});

test("links: the router's address of a balancer that is gone is taken away", () => {
  const vpc = sampleVpc();
  const before = replay(planLinks(vpc, [], []).router);
  const { router } = planLinks({ ...vpc, balancers: [] }, [], before);
  assert.deepEqual(router, ["addr del 10.42.0.20/32 dev lo", "addr del 10.42.1.20/32 dev lo"]);
});

/** What a router's namespace shows after the lines have been run. */
function replay(lines: readonly string[]): LinkState[] {
  const loopback: LinkState = { name: "lo", alias: "", addresses: ["127.0.0.1/8"] };
  const links = [loopback];
  for (const line of lines) {
    const address = /^addr add (\S+) dev lo$/.exec(line)?.[1];
    if (address !== undefined) loopback.addresses.push(address);
    const [, name, alias] = /^link set (\S+) alias (\S+) up$/.exec(line) ?? [];
    if (name !== undefined && alias !== undefined) links.push({ name, alias, addresses: [] });
  }
  return links;
}

test("the kernel's list of links is read with aliases and addresses", () => {
  const json = JSON.stringify([
    {
      ifname: "lo",
      addr_info: [
        { family: "inet", local: "10.0.0.1", prefixlen: 32 },
        { family: "inet6", local: "::1", prefixlen: 128 },
      ],
    },
    { ifname: "v-1", ifalias: "who" },
  ]);
  assert.deepEqual(parseLinks(json), [
    { name: "lo", alias: "", addresses: ["10.0.0.1/32"] },
    { name: "v-1", alias: "who", addresses: [] },
  ]);
  assert.deepEqual(parseLinks(""), []);
});

test("names of links fit the kernel's fifteen characters and stay apart", () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[0-9a-f]{17}$/), (id) => {
      assert.ok(vethName(`eni-${id}`).length <= 15);
    }),
  );
  assert.notEqual(vethName("eni-0123456789abcdef0"), vethName("eni-0123456789abcdef1"));
});

test("target health: one address that finds a target well is enough; unprobed is initial", () => {
  const vpc = sampleVpc();
  const places = {
    certificate: "",
    front: "",
    metadata: "",
    archive: "",
    statistics: "",
    serverStates: "",
  };
  const rendered = renderProxy(vpc, places);
  const [first, second] = [...rendered.matchAll(/^backend (\S+:10\S+)$/gm)].map(([, name]) => name);
  const lines = [
    "# pxname,svname,status,check_status,",
    `${first ?? ""},10.42.0.10:2379,DOWN,L4TOUT,`,
    `${second ?? ""},10.42.0.10:2379,UP,L7OK,`,
    `${first ?? ""},10.42.1.10:2379,UP,INI,`,
  ];
  assert.deepEqual(readTargets(vpc, lines.join("\n")), {
    "arn:tg": { "10.42.0.10:2379": "healthy", "10.42.1.10:2379": "initial" },
  });
  assert.deepEqual(
    readTargets(vpc, `${lines[0] ?? ""}\n${first ?? ""},10.42.0.10:2379,DOWN,L4TOUT,`),
    {
      "arn:tg": { "10.42.0.10:2379": "unhealthy", "10.42.1.10:2379": "initial" },
    },
  );
});

test("target health: enough probes have to succeed before a target is healthy", () => {
  const [first] = [...renderServerStates(sampleVpc(), "").matchAll(/^0 (\S+) /gm)].map(
    ([, name]) => name,
  );
  const seen = (status: string, probe: string) =>
    readTargets(
      sampleVpc(),
      `# pxname,svname,status,check_status,\n${first ?? ""},10.42.0.10:2379,${status},${probe},`,
    )["arn:tg"]?.["10.42.0.10:2379"];
  assert.equal(seen("DOWN", "INI"), "initial");
  assert.equal(seen("DOWN 1/3", "L7OK"), "initial");
  assert.equal(seen("UP", "L7OK"), "healthy");
  assert.equal(seen("UP 1/2", "L4TOUT"), "healthy");
  assert.equal(seen("DOWN", "* L7STS"), "unhealthy");
});

test("a new configuration of the proxy: a new target is unproven, a known one is what it was", () => {
  const vpc = sampleVpc();
  const fresh = renderServerStates(vpc, "").split("\n");
  assert.equal(fresh[0], "1");
  const rows = fresh.slice(2, -1).map((line) => line.split(" "));
  // Two targets behind each of the two addresses; state 0 is down.
  assert.deepEqual(
    rows.map(([, , , server, address, state]) => [server, address, state]),
    [0, 1].flatMap(() => [
      ["10.42.0.10:2379", "10.42.0.10", "0"],
      ["10.42.1.10:2379", "10.42.1.10", "0"],
    ]),
  );
  const columns = (fresh[1] ?? "").split(" ").length - 1;
  assert.ok(rows.every((row) => row.length === columns));
  const up = (rows[1] ?? []).map((value, column) => (column === 5 ? "2" : value)).join(" ");
  const gone = up.replaceAll("10.42.1.10:2379", "10.42.9.9:2379");
  assert.deepEqual(renderServerStates(vpc, `1\n# header\n${up}\n${gone}\n`).split("\n"), [
    ...fresh.slice(0, 3),
    up,
    ...fresh.slice(4),
  ]);
});

test("ranges: arithmetic on addresses", () => {
  assert.equal(gateway("10.42.3.0/24"), "10.42.3.1");
  assert.deepEqual(bounds("10.0.0.5/30"), {
    first: toNumber("10.0.0.4"),
    last: toNumber("10.0.0.7"),
    prefix: 30,
  });
  assert.equal(overlap("10.0.0.0/8", "10.42.0.0/16"), true);
  assert.equal(overlap("10.0.0.0/24", "10.0.1.0/24"), false);
  for (const wrong of ["10.0.0", "10.0.0.256", "a.b.c.d"]) assert.throws(() => toNumber(wrong));
  assert.throws(() => bounds("10.0.0.0/33"));
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 32 - 1 }), (value) => {
      assert.equal(toNumber(toAddress(value)), value);
    }),
  );
});

test("the server certificate covers the names of every service and bucket, and of Debian's archive", () => {
  const names = servedNames("eu-central-1");
  const covered = (host: string) =>
    names.some(
      (name) =>
        name === host || (name.startsWith("*.") && host.slice(host.indexOf(".")) === name.slice(1)),
    );
  for (const host of [
    "ec2.eu-central-1.amazonaws.com",
    "s3.eu-central-1.amazonaws.com",
    "bucket.s3.eu-central-1.amazonaws.com",
    "iam.amazonaws.com",
    "sts.amazonaws.com",
    "deb.debian.org",
    "cdn-aws.deb.debian.org",
    "security.debian.org",
  ]) {
    assert.ok(covered(host), host);
  }
});
