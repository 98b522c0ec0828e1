import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ensureImage } from "../../lab/image/image.ts";
import { inventory } from "../../lab/machines/inventory.ts";
import { Reconciler } from "../../lab/machines/reconcile.ts";
import type { Observed, World } from "../../lab/world.ts";
import { allow, machineWith, metadataService, smallWorld } from "./machinesWorld.ts";
import { inside, must, run, waitFor, type Outcome } from "./support.ts";

/**
 * Machines and network on their own: a world by hand instead of the daemon, with marks of its own, so that it
 * runs beside a lab. The tests share the machines and build on each other, in this order.
 */
process.env["ETCD_LAB_NAME"] = "t";
const state = mkdtempSync(join(tmpdir(), "ecl-machines-"));
const world: World = smallWorld();
const publicAddress = "198.19.255.211";
const servers: Server[] = [];
let paths: ConstructorParameters<typeof Reconciler>[0];
let lab: Reconciler;

const quiet = () => undefined;

function vpc() {
  const found = world.vpcs[0];
  assert.ok(found);
  return found;
}

/** Applies the world until a condition holds, as the daemon does. */
async function until(what: string, holds: (observed: Observed) => boolean): Promise<Observed> {
  const { value } = await waitFor(what, 20, async () => {
    const observed = await lab.apply(world);
    return holds(observed) ? observed : undefined;
  });
  return value;
}

function leader(observed: Observed, id: string): number {
  const pid = observed.machines[id]?.leaderPid;
  assert.ok(pid, `${id} does not run: ${JSON.stringify(observed.machines)}`);
  return pid;
}

/** The kernel's number of a machine's link: another one means that the link was made anew. */
async function linkIndex(id: string): Promise<string> {
  return (await within(id, "cat", "/sys/class/net/ens5/ifindex")).stdout.trim();
}

function addressOf(id: string): string {
  const found = vpc().interfaces.find(({ machineId }) => machineId === id);
  assert.ok(found, `no interface of ${id}`);
  return found.address;
}

async function within(id: string, ...argv: string[]): Promise<Outcome> {
  return inside(leader(await lab.apply(world), id), argv, { timeoutSeconds: 10 });
}

function ssh(user: string, ...command: string[]): Promise<Outcome> {
  const options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "BatchMode=yes"];
  return run(
    "ssh",
    [
      ...[...options, "ConnectTimeout=2", "LogLevel=ERROR"].flatMap((each) => ["-o", each]),
      "-i",
      join(state, "key"),
      `${user}@${publicAddress}`,
      ...command,
      // cloud-init's refusal of root says why and then holds the session for ten seconds.
    ],
    { timeoutSeconds: 4 },
  );
}

/** Whether a TCP connection from inside a machine comes about. */
async function connects(from: string, address: string, port: number): Promise<boolean> {
  const outcome = await within(
    from,
    "python3",
    "-c",
    `import socket; socket.create_connection(("${address}", ${port}), 1.5)`,
  );
  return outcome.code === 0;
}

before(async () => {
  assert.equal(process.getuid?.(), 0, "machines need root");
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(state, "key")]);
  const front = createServer((request, response) => {
    response.end(JSON.stringify([request.headers.host, request.headers["x-forwarded-for"]]));
  });
  const imds = metadataService(world, readFileSync(join(state, "key.pub"), "utf8"));
  paths = {
    state,
    image: await ensureImage({ log: quiet }),
    frontSocket: join(state, "front.sock"),
    imdsSocket: join(state, "imds.sock"),
    archiveSocket: join(state, "archive.sock"),
  };
  const archive = createServer((request, response) => {
    response.end(`archive ${request.url ?? ""}`);
  });
  front.listen(paths.frontSocket);
  imds.listen(paths.imdsSocket);
  archive.listen(paths.archiveSocket);
  servers.push(front, imds, archive);
  lab = new Reconciler(paths, quiet);
});

after(async () => {
  await lab.destroyAll();
  for (const server of servers) server.close().closeAllConnections();
  rmSync(state, { recursive: true, force: true });
});

test("machines boot with real cloud-init and answer SSH at the public address", async (t) => {
  const started = performance.now();
  await lab.apply(world);
  t.diagnostic(`first apply: ${(performance.now() - started).toFixed(0)} ms`);
  const { seconds } = await waitFor("SSH", 30, async () => {
    await lab.apply(world);
    return (await ssh("admin", "true")).code === 0 || undefined;
  });
  t.diagnostic(`two machines from nothing to SSH: ${seconds.toFixed(2)} s`);
  const facts = await ssh("admin", "hostname; cat /etc/from-user-data; echo; sudo -n id -u");
  assert.equal(facts.stdout, "ip-10-97-0-10\nwritten\n0\n".trim(), facts.stderr);
  const root = await ssh("root", "true");
  assert.match(root.stdout, /Please login as the user "admin"/);
});

test("cloud-init ends without an error and no unit fails", async () => {
  const status = await within("i-bastion", "cloud-init", "status", "--wait");
  assert.match(status.stdout, /status: done/);
  const failed = await within("i-bastion", "systemctl", "--failed", "--plain", "--no-legend");
  assert.equal(failed.stdout, "");
});

test("an unchanged world costs milliseconds and changes nothing", async (t) => {
  const earlier = inventory();
  const started = performance.now();
  for (let round = 0; round < 10; round++) await lab.apply(world);
  const each = (performance.now() - started) / 10;
  t.diagnostic(`unchanged apply: ${each.toFixed(1)} ms`);
  assert.ok(each < 50);
  const later = inventory();
  assert.deepEqual(later.namespaces, earlier.namespaces);
  assert.deepEqual(later.links, earlier.links);
  assert.deepEqual(later.routes, earlier.routes);
});

test("a new daemon finds everything as it is and disturbs nothing", async () => {
  const earlier = await lab.apply(world);
  lab = new Reconciler(paths, quiet);
  const later = await lab.apply(world);
  assert.deepEqual(later.machines, earlier.machines);
  assert.equal((await ssh("admin", "true")).code, 0);
});

test("security groups drop what they do not allow, inside and from outside", async () => {
  assert.equal(await connects("i-bastion", "10.97.1.10", 22), true);
  assert.equal(await connects("i-member", "10.97.0.10", 22), false, "egress of the member");
  const direct = await run("ssh-keyscan", ["-T", "2", "10.97.1.10"]);
  assert.equal(direct.stdout, "", "the host reaches public addresses only");
  const neighbour = machineWith("neighbour", {
    subnetId: "subnet-private",
    address: "10.97.1.11",
    securityGroupIds: ["sg-bastion"],
  });
  world.machines.push(neighbour.machine);
  vpc().interfaces.push(neighbour.interface);
  await until("the neighbour", ({ machines }) => machines["i-neighbour"]?.state === "running");
  assert.equal(await connects("i-neighbour", "10.97.1.10", 22), true, "inside one subnet");
  vpc().securityGroups[1]?.ingress.splice(0);
  assert.equal(await connects("i-neighbour", "10.97.1.10", 22), false, "the rule is gone");
  vpc().securityGroups[1]?.ingress.push(allow([22, 22], { kind: "group", id: "sg-bastion" }));
});

test("a machine that uses another's address is not heard", async () => {
  const pid = leader(await lab.apply(world), "i-neighbour");
  await must("nsenter", [
    `--net=/proc/${pid}/ns/net`,
    "ip",
    "addr",
    "add",
    "10.97.1.99/32",
    "dev",
    "lo",
  ]);
  const spoofed = await within(
    "i-neighbour",
    "curl",
    "-sS",
    "--max-time",
    "1",
    "--interface",
    "10.97.1.99",
    "http://169.254.169.254/latest/meta-data/",
  );
  assert.notEqual(spoofed.code, 0);
  world.machines.pop();
  vpc().interfaces.pop();
  await until("the neighbour's end", ({ machines }) => machines["i-neighbour"] === undefined);
});

test("names: AWS leads to the lab, everything else does not exist, at once", async () => {
  vpc().zones.push({
    name: "etcd.test",
    records: [
      { name: "m1.etcd.test", type: "A", ttl: 60, values: ["10.97.1.10"] },
      {
        name: "_etcd-server-ssl._tcp.etcd.test",
        type: "SRV",
        ttl: 60,
        values: ["0 0 2380 m1.etcd.test"],
      },
      { name: "alias.etcd.test.", type: "CNAME", ttl: 60, values: ["m1.etcd.test."] },
    ],
  });
  const expected = {
    "ec2.eu-central-1.amazonaws.com": "198.51.100.10",
    "s3.eu-central-1.amazonaws.com": "198.51.100.11",
    "bucket.s3.eu-central-1.amazonaws.com": "198.51.100.11",
    "m1.etcd.test": "10.97.1.10",
    "alias.etcd.test": "10.97.1.10",
    "ip-10-97-0-10": "10.97.0.10",
  };
  for (const [name, address] of Object.entries(expected)) {
    const found = await within("i-bastion", "getent", "ahostsv4", name);
    assert.equal(found.stdout.split(/\s/)[0], address, name);
  }
  for (const name of ["www.example.org", "gone.elb.eu-central-1.amazonaws.com"]) {
    const outcome = await within("i-bastion", "getent", "hosts", name);
    assert.equal(outcome.code, 2, name);
    assert.ok(outcome.seconds < 1, `${name} took ${outcome.seconds} s`);
  }
});

test("Debian's archive is there where the network lets a machine out, and only there", async () => {
  const fetched = async (machine: string, url: string) =>
    (await within(machine, "curl", "-sS", "--max-time", "1", url)).stdout;
  const [debian, https] = ["http://deb.debian.org/debian", "https://cdn-aws.deb.debian.org/debian"];
  assert.equal(await fetched("i-bastion", debian), "archive /debian", "a public address");
  assert.equal(await fetched("i-member", https), "archive /debian", "by NAT");
  assert.equal(await fetched("i-member", debian), "", "its group lets it reach 443 only");
  const closed = vpc().subnets[1];
  assert.ok(closed);
  closed.way = "none";
  closed.interfaceEndpoints = true;
  await lab.apply(world);
  assert.equal(await fetched("i-member", https), "", "endpoints lead to AWS and nowhere else");
  closed.way = "nat";
  closed.interfaceEndpoints = false;
  await lab.apply(world);
  assert.equal(await fetched("i-member", https), "archive /debian");
});

test("AWS's endpoints answer by trusted TLS and know the caller, whatever it claims", async () => {
  for (const name of [
    "ec2.eu-central-1.amazonaws.com",
    "b.s3.eu-central-1.amazonaws.com",
    "iam.amazonaws.com",
  ]) {
    const answer = await within(
      "i-member",
      "curl",
      "-sS",
      "-H",
      "X-Forwarded-For: 10.97.0.10",
      `https://${name}/`,
    );
    assert.equal(answer.stdout, JSON.stringify([name, "10.97.1.10"]), answer.stderr);
  }
});

test("a volume is attached hot and its data outlives a killed machine", async (t) => {
  const disk = {
    id: "vol-0123abcd",
    sizeGiB: 1,
    attachedTo: { machineId: "i-member", device: "/dev/sdf" },
  };
  world.disks.push(disk);
  const link = "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0123abcd";
  await until("the volume", ({ disks }) => disks[disk.id]?.attachedTo !== undefined);
  const made = await within(
    "i-member",
    "sh",
    "-c",
    `mkfs.ext4 -q ${link} && mount ${link} /mnt && echo kept > /mnt/file && sync /mnt/file && readlink -f ${link}`,
  );
  assert.equal(made.stdout, "/dev/nvme1n1", made.stderr);
  const started = performance.now();
  await lab.kill("i-member");
  t.diagnostic(`killed in ${(performance.now() - started).toFixed(0)} ms`);
  const dead = await until("the death", ({ machines }) => machines["i-member"]?.state === "exited");
  assert.ok(dead.machines["i-member"]?.exitedAt);
  const silent = await within(
    "i-bastion",
    "python3",
    "-c",
    'import socket; socket.create_connection(("10.97.1.10", 22), 1)',
  );
  assert.match(silent.stderr, /timed out/, "the dead do not answer with resets");
  // The group's replacement, with the same interface and the same volume.
  const next = {
    ...world.machines[1],
    id: "i-member2",
    interfaceIds: ["eni-member"],
  } as (typeof world.machines)[0];
  world.machines.splice(1, 1, next);
  const [, member] = vpc().interfaces;
  assert.ok(member);
  member.machineId = next.id;
  disk.attachedTo.machineId = next.id;
  await until("the replacement", ({ disks }) => disks[disk.id]?.attachedTo?.machineId === next.id);
  const kept = await within(next.id, "sh", "-c", `mount ${link} /mnt && cat /mnt/file`);
  assert.equal(kept.stdout, "kept", kept.stderr);
});

test("a machine that reboots comes back with its volume; one that powers off stays off", async () => {
  const first = leader(await lab.apply(world), "i-member2");
  await within("i-member2", "systemctl", "reboot");
  const again = await until("the reboot", ({ machines, disks }) => {
    const pid = machines["i-member2"]?.leaderPid;
    return pid !== undefined && pid !== first && disks["vol-0123abcd"]?.attachedTo !== undefined;
  });
  assert.equal(again.machines["i-member2"]?.state, "running");
  const bastion = world.machines[0];
  assert.ok(bastion);
  await within("i-bastion", "systemctl", "poweroff");
  await until("the power-off", ({ machines }) => machines["i-bastion"]?.state === "exited");
  bastion.desired = "stopped";
  await lab.apply(world);
  bastion.desired = "running";
  await until("the start", ({ machines }) => machines["i-bastion"]?.state === "running");
  await waitFor("SSH", 20, async () => (await ssh("admin", "true")).code === 0 || undefined);
});

test("the balancer forwards to healthy targets, as the groups allow", async () => {
  vpc().securityGroups.push({
    id: "sg-balancer",
    ingress: [allow([80, 80], { kind: "group", id: "sg-bastion" })],
    egress: [allow([8000, 8001], { kind: "group", id: "sg-member" })],
  });
  vpc().securityGroups[1]?.ingress.push(allow([8000, 8001], { kind: "group", id: "sg-balancer" }));
  vpc().balancers.push({
    arn: "arn:balancer",
    dnsName: "test-1.elb.eu-central-1.amazonaws.com",
    addresses: [
      { subnetId: "subnet-public", address: "10.97.0.200" },
      { subnetId: "subnet-private", address: "10.97.1.200" },
    ],
    securityGroupIds: ["sg-balancer"],
    listeners: [
      {
        port: 80,
        idleTimeoutSeconds: 60,
        targetGroup: {
          arn: "arn:targets",
          port: 8000,
          healthCheck: {
            protocol: "HTTP",
            port: 8001,
            path: "/ready",
            intervalSeconds: 1,
            timeoutSeconds: 1,
            healthyThreshold: 2,
            unhealthyThreshold: 2,
          },
          targets: [{ address: "10.97.1.10", port: 8000 }],
        },
      },
    ],
  });
  const serve = (port: number) =>
    `cd /srv && touch ready && systemd-run -q python3 -m http.server ${port} -d /srv`;
  await within("i-member2", "sh", "-c", `${serve(8000)}; ${serve(8001)}`);
  const health = (observed: Observed) => observed.targets["arn:targets"]?.["10.97.1.10:8000"];
  await until("a healthy target", (observed) => health(observed) === "healthy");
  const get = (from: string) =>
    within(
      from,
      "curl",
      "-sS",
      "--max-time",
      "3",
      "http://test-1.elb.eu-central-1.amazonaws.com/ready",
      "-o",
      "/dev/null",
      "-w",
      "%{http_code}",
    );
  // The probed server may be up a moment before the one that is balanced to.
  await waitFor("the target's answer", 5, async () =>
    (await get("i-bastion")).stdout === "200" ? true : undefined,
  );
  assert.notEqual((await get("i-member2")).code, 0, "the balancer's group admits the bastion only");
  assert.equal(await connects("i-bastion", "10.97.1.10", 8000), false, "past the balancer");
  await within("i-member2", "rm", "/srv/ready");
  await until("an unhealthy target", (observed) => health(observed) === "unhealthy");
});

test("a cut zone is cut off and healed", async () => {
  assert.equal(await connects("i-bastion", "10.97.1.10", 22), true);
  const before = await linkIndex("i-member2");
  vpc().cutZones.push("eu-central-1b");
  assert.equal(await connects("i-bastion", "10.97.1.10", 22), false);
  vpc().cutZones.pop();
  assert.equal(await connects("i-bastion", "10.97.1.10", 22), true);
  assert.equal(await linkIndex("i-member2"), before, "a change of the filter made links anew");
});

test("packets are dropped in one direction at once, and pass again", async () => {
  const bastion = addressOf("i-bastion");
  const there = [{ from: [bastion], to: ["10.97.1.10"] }];
  const back = [{ from: ["10.97.1.10"], to: [bastion] }];
  assert.equal(await connects("i-bastion", "10.97.1.10", 22), true);
  for (const drops of [there, back]) {
    await lab.drop("test", drops);
    assert.equal(await connects("i-bastion", "10.97.1.10", 22), false);
  }
  await assert.rejects(lab.drop("other", [{ from: ["x"], to: ["y"] }]), /IPv4/);
  await lab.drop("test", []);
  assert.equal(await connects("i-bastion", "10.97.1.10", 22), true);
});

test("destroyAll leaves nothing, and a second one has nothing to do", async (t) => {
  const started = performance.now();
  await lab.destroyAll();
  t.diagnostic(`destroyAll: ${(performance.now() - started).toFixed(0)} ms`);
  for (const [kind, things] of Object.entries(inventory())) assert.deepEqual(things, [], kind);
  await lab.destroyAll();
});
