import { EtcdCluster } from "../../../components";
import { recordCluster, leastArgs } from "../../support/cluster";
import { expectGolden } from "../../support/golden";
import { resolve, type Recording, type RecordedResource } from "../../support/recordingMocks";

jest.mock("../../../components/machineFiles", () => ({
  ...jest.requireActual<object>("../../../components/machineFiles"),
  agentArtifact: () => ({ kind: "file", path: "/agent.tar.gz", sha256: "a".repeat(64) }),
}));

const memberNames = ["m1", "m2", "m3"];

/** `type name`, sorted: what a rename, an addition or a loss would change. */
function inventory(recording: Recording<unknown>): string {
  return recording.resources
    .map(({ type, name }) => `${type} ${name}\n`)
    .sort()
    .join("");
}

let cluster: Recording<EtcdCluster>;
beforeAll(async () => {
  cluster = await recordCluster();
});

describe("what is registered", () => {
  test("the default cluster: exactly these types and names", () => {
    expectGolden(__dirname, "default-resources.txt", inventory(cluster));
  });

  test("no (type, name) twice", () => {
    const lines = inventory(cluster).trim().split("\n");
    expect(new Set(lines).size).toBe(lines.length);
  });

  test("everything has a parent; only the cluster has the stack", () => {
    const orphans = cluster.resources.filter(({ parent }) => parent === "");
    expect(orphans.map(({ name }) => name)).toEqual(["etcd"]);
  });

  test.each([
    ["one member", { size: 1, zones: ["eu-central-1b"] }, 1],
    ["five members", { size: 5 }, 5],
    ["seven members", { size: 7 }, 7],
  ])("%s: machines, volumes, groups and commands follow", async (_, args, count) => {
    const recording = await recordCluster(args);
    for (const type of [
      "ebs/volume:Volume",
      "autoscaling/group:Group",
      "ec2/launchTemplate:LaunchTemplate",
    ]) {
      expect(recording.all(`aws:${type}`)).toHaveLength(count);
    }
    expect(recording.all("command:remote:Command")).toHaveLength(6 * count + 1);
  });

  test("a larger cluster keeps every resource of a smaller one", async () => {
    const names = inventory(cluster).trim().split("\n");
    const larger = inventory(await recordCluster({ size: 5 }))
      .trim()
      .split("\n");
    expect(names.filter((line) => !larger.includes(line))).toEqual([]);
  });

  test("no invoke but these", () => {
    expect(cluster.calls.map(({ token }) => token).sort()).toEqual([
      "aws:ec2/getAmi:getAmi",
      "aws:index/getCallerIdentity:getCallerIdentity",
      "aws:index/getPartition:getPartition",
      "aws:index/getRegion:getRegion",
    ]);
  });
});

describe("a member", () => {
  test.each(memberNames)("%s: launch template", (member) => {
    const { inputs, ignoreChanges } = cluster.find(
      "aws:ec2/launchTemplate:LaunchTemplate",
      `etcd-${member}`,
    );
    const { userData, ...rest } = inputs;
    const tags = {
      Name: `etcd-${member}`,
      "etcd-cluster:cluster": "etcd",
      "etcd-cluster:member": member,
    };
    expect(rest).toEqual({
      name: `etcd-${member}`,
      imageId: "ami-0debian13amd64000",
      instanceType: "m7i.large",
      keyName: "etcd-operator",
      iamInstanceProfile: { name: `etcd-${member}-eu-central-1` },
      networkInterfaces: [
        { deviceIndex: 0, networkInterfaceId: `etcd-${member}-id`, deleteOnTermination: "false" },
      ],
      blockDeviceMappings: [
        {
          deviceName: "/dev/xvda",
          ebs: {
            volumeType: "gp3",
            volumeSize: 8,
            encrypted: "true",
            kmsKeyId: "arn:aws:kms:eu-central-1:123456789012:key/0000",
            deleteOnTermination: "true",
          },
        },
      ],
      metadataOptions: {
        httpEndpoint: "enabled",
        httpTokens: "required",
        httpPutResponseHopLimit: 1,
      },
      updateDefaultVersion: true,
      tagSpecifications: [
        { resourceType: "instance", tags },
        {
          resourceType: "volume",
          tags: { "etcd-cluster:cluster": "etcd", Name: `etcd-${member}-root` },
        },
      ],
      tags,
    });
    expect(ignoreChanges).toEqual(["imageId"]);
    const text = Buffer.from(String(userData), "base64").toString();
    expect(text).toContain(`member='${member}'`);
    expect(text).not.toContain("PRIVATE KEY");
  });

  test("a named image is followed", async () => {
    const recording = await recordCluster({ amiId: "ami-0123456789abcdef0" });
    expect(recording.calls.map(({ token }) => token)).not.toContain("aws:ec2/getAmi:getAmi");
    for (const template of recording.all("aws:ec2/launchTemplate:LaunchTemplate")) {
      expect(template.inputs["imageId"]).toBe("ami-0123456789abcdef0");
      expect(template.ignoreChanges).toEqual([]);
    }
    expect(recording.find("aws:ec2/instance:Instance", "etcd-bastion").ignoreChanges).toEqual([]);
  });

  test.each(memberNames)("%s: group of exactly one, replaced delete-first", (member) => {
    const zone = `eu-central-1${"abc"[memberNames.indexOf(member)] ?? ""}`;
    const group = cluster.find("aws:autoscaling/group:Group", `etcd-${member}`);
    expect(group.inputs).toEqual({
      name: `etcd-${member}`,
      availabilityZones: [zone],
      minSize: 1,
      maxSize: 1,
      desiredCapacity: 1,
      launchTemplate: { id: `etcd-${member}-id`, version: "1" },
      healthCheckType: "EC2",
      healthCheckGracePeriod: 30,
      instanceMaintenancePolicy: { minHealthyPercentage: 0, maxHealthyPercentage: 100 },
      waitForCapacityTimeout: "0",
      tags: [
        { key: "etcd-cluster:cluster", value: "etcd", propagateAtLaunch: false },
        { key: "Name", value: `etcd-${member}`, propagateAtLaunch: false },
        { key: "etcd-cluster:member", value: member, propagateAtLaunch: false },
      ],
    });
    expect(group.deleteBeforeReplace).toBe(true);
  });

  test.each(memberNames)("%s: a group starts only when its machine could boot", (member) => {
    const { dependencies } = cluster.find("aws:autoscaling/group:Group", `etcd-${member}`);
    for (const needed of [
      `etcd-${member}-config`,
      `etcd-${member}-approved`,
      `etcd-${member}-server-key`,
      `etcd-${member}-ssh-host-key`,
      "etcd-backup-artifact-agent",
      "etcd-backup-artifact-etcd",
      "etcd-backup-artifact-node",
      "etcd-network-private-a-nat",
      "etcd-firewall-members-to-https",
    ]) {
      expect(dependencies).toContain(needed);
    }
  });

  test("interfaces, volumes: fixed addresses, encryption, tags", async () => {
    const recording = await recordCluster({ memberAddresses: { m2: "10.42.16.10" } });
    const face = recording.find("aws:ec2/networkInterface:NetworkInterface", "etcd-m2");
    expect(face.inputs["privateIps"]).toEqual(["10.42.16.10"]);
    expect(face.inputs["securityGroups"]).toEqual(["etcd-firewall-members-id"]);
    expect(face.deleteBeforeReplace).toBe(true);
    const other = recording.find("aws:ec2/networkInterface:NetworkInterface", "etcd-m1");
    expect(other.inputs).not.toHaveProperty("privateIps");
    expect(recording.find("aws:ebs/volume:Volume", "etcd-m2").inputs).toEqual({
      availabilityZone: "eu-central-1b",
      type: "gp3",
      size: 20,
      iops: 3000,
      throughput: 125,
      encrypted: true,
      kmsKeyId: "arn:aws:kms:eu-central-1:123456789012:key/0000",
      tags: { "etcd-cluster:cluster": "etcd", Name: "etcd-m2", "etcd-cluster:member": "m2" },
    });
  });

  test("desired state: immutable by hash, kept; the pointer is set once", () => {
    for (const member of memberNames) {
      const config = cluster.find("aws:s3/bucketObjectv2:BucketObjectv2", `etcd-${member}-config`);
      const approved = cluster.find(
        "aws:s3/bucketObjectv2:BucketObjectv2",
        `etcd-${member}-approved`,
      );
      const sha256 = /^config\/m\d\/([0-9a-f]{64})\.json$/.exec(String(config.inputs["key"]))?.[1];
      expect(sha256).toBeDefined();
      expect(config.retainOnDelete).toBe(true);
      expect(approved.inputs["key"]).toBe(`config/${member}/approved`);
      expect(approved.inputs["content"]).toBe(`${String(sha256)}\n`);
      expect(approved.ignoreChanges).toEqual(["content"]);
    }
    const first = cluster.find("aws:s3/bucketObjectv2:BucketObjectv2", "etcd-m1-config");
    const document = JSON.stringify(JSON.parse(String(first.inputs["content"])), null, 2);
    expectGolden(__dirname, "m1-config.json", `${document}\n`);
  });

  test("the same arguments give the same bytes", async () => {
    const again = await recordCluster();
    const contents = (recording: Recording<unknown>) =>
      recording
        .all("aws:s3/bucketObjectv2:BucketObjectv2")
        .map(({ inputs }) => `${String(inputs["key"])} ${String(inputs["content"])}`)
        .sort();
    expect(contents(again)).toEqual(contents(cluster));
  });
});

describe("commands", () => {
  const commandOf = (member: string, step: string): RecordedResource =>
    cluster.find("command:remote:Command", `etcd-${member}-${step}`);

  test("each wait needs its own group, no other's", () => {
    for (const member of memberNames) {
      const groups = commandOf(member, "wait").typedDependencies.filter((each) =>
        each.startsWith("aws:autoscaling/"),
      );
      expect(groups).toEqual([`aws:autoscaling/group:Group etcd-${member}`]);
    }
  });

  test("nobody's turn before all repairs; one turn after the other; verify after all", () => {
    const commandsBefore = (member: string, step: string): string[] =>
      commandOf(member, step)
        .typedDependencies.filter((each) => each.startsWith("command:remote:Command"))
        .map((each) => each.split(" ")[1] ?? "")
        .sort();
    const repairs = memberNames.map((member) => `etcd-${member}-repair`);
    memberNames.forEach((member, index) => {
      expect(commandsBefore(member, "wait")).toEqual([]);
      expect(commandsBefore(member, "repair")).toEqual([`etcd-${member}-wait`]);
      const before =
        index === 0 ? [] : [`etcd-${String(memberNames[index - 1])}-bootstrap`, "etcd-resize"];
      expect(commandsBefore(member, "converge")).toEqual([...before, ...repairs].sort());
      const repair = `etcd-${member}-repair`;
      expect(commandsBefore(member, "back")).toEqual([`etcd-${member}-converge`, repair]);
      expect(commandsBefore(member, "bootstrap")).toEqual([`etcd-${member}-back`, repair]);
      // The resize too: of one member there is no bootstrap after it.
      expect(commandsBefore(member, "verify")).toEqual([
        ...memberNames.flatMap((each) => [`etcd-${each}-bootstrap`, `etcd-${each}-repair`]),
        "etcd-resize",
      ]);
    });
  });

  test("a turn follows every attempt, not only another desired state: one that stopped half-way may be taken back", () => {
    const attempts = memberNames.map((member) => `etcd-${member}-repair-id`);
    for (const member of memberNames) {
      for (const step of ["converge", "back", "bootstrap"]) {
        const { triggers } = commandOf(member, step).inputs;
        expect(triggers).toContain(`etcd-${member}-repair-id`);
      }
      const { triggers } = commandOf(member, "verify").inputs;
      expect(triggers).toEqual(expect.arrayContaining(attempts));
    }
  });

  test("resize runs on the member that never leaves, after its bootstrap, for exactly these members", async () => {
    const { inputs, dependencies } = cluster.find("command:remote:Command", "etcd-resize");
    const commands = dependencies.filter((name) => /-(wait|repair|bootstrap|verify)$/.test(name));
    expect(commands.sort()).toEqual([
      "etcd-m1-bootstrap",
      ...memberNames.map((member) => `etcd-${member}-repair`),
    ]);
    expect(inputs["connection"]).toMatchObject({ host: "10.42.0.11" });
    const { value: members } = await resolve(cluster.result.members);
    const wish = members.map(({ name, address, volumeId }) => `${name}=${address}=${volumeId}`);
    expect(wish.join()).toMatch(/^m1=10.42.0.11=vol-\w+,m2=10.42.0.12=vol-\w+,m3=10.42.0.13=/);
    expect(inputs["create"]).toBe(
      `sudo -n /usr/local/bin/etcd-agent resize --members ${wish.join()} --timeout-seconds 1800`,
    );
    // Another list must be an update, which comes before deletions; nothing may replace or skip it.
    expect(inputs).not.toHaveProperty("triggers");
    expect(inputs).not.toHaveProperty("update");
  });

  test("clients are told of members when these are in service", () => {
    const told = [
      ...cluster.all("aws:lb/targetGroupAttachment:TargetGroupAttachment"),
      ...cluster.all("aws:route53/record:Record"),
    ];
    expect(told).toHaveLength(8);
    for (const { dependencies } of told) {
      expect(dependencies).toEqual(
        expect.arrayContaining([
          "etcd-resize",
          ...memberNames.map((member) => `etcd-${member}-bootstrap`),
        ]),
      );
    }
  });

  test("host keys are pinned, on the member and on the bastion", () => {
    for (const member of memberNames) {
      const key = (name: string) => `ssh-ed25519 ${Buffer.from(name).toString("base64")}`;
      const bastion = {
        host: "203.0.113.10",
        port: 22,
        user: "admin",
        hostKey: key("etcd-bastion-ssh-host"),
        dialErrorLimit: 60,
      };
      expect(commandOf(member, "wait").inputs["connection"]).toMatchObject(bastion);
      expect(commandOf(member, "bootstrap").inputs["connection"]).toMatchObject({
        host: `10.42.0.1${member.slice(1)}`,
        hostKey: key(`etcd-${member}-ssh-host`),
        proxy: bastion,
      });
    }
  });

  test("texts are about this member's desired state, and hold no secret", () => {
    for (const member of memberNames) {
      const key = String(
        cluster.find("aws:s3/bucketObjectv2:BucketObjectv2", `etcd-${member}-config`).inputs["key"],
      );
      const sha256 = /([0-9a-f]{64})/.exec(key)?.[1] ?? "";
      for (const step of ["repair", "converge", "bootstrap"]) {
        expect(commandOf(member, step).inputs["create"]).toMatch(
          `sudo -n /usr/local/bin/etcd-agent ${step} --config ${sha256} --timeout-seconds `,
        );
        const attempt = step === "repair" ? [] : [`etcd-${member}-repair-id`];
        expect(commandOf(member, step).inputs["triggers"]).toEqual([sha256, ...attempt]);
      }
    }
    for (const each of cluster.all("command:remote:Command")) {
      expect(String(each.inputs["create"])).not.toContain("PRIVATE KEY");
      expect(each.inputs["addPreviousOutputInEnv"]).toBe(false);
      expect(each.inputs).not.toHaveProperty("delete");
      expect(each.inputs).not.toHaveProperty("environment");
    }
  });

  test("verify's answer becomes the health output", async () => {
    const { value } = await resolve(cluster.result.health);
    expect(value.map(({ name, role }) => `${name} ${role}`)).toEqual([
      "m1 leader",
      "m2 follower",
      "m3 follower",
    ]);
  });
});

describe("secrets", () => {
  test("every private key that leaves for a provider is marked", () => {
    for (const resource of cluster.resources) {
      const walk = (value: unknown, path: string): void => {
        if (resource.secretInputs.includes(path)) {
          return;
        }
        if (typeof value === "string") {
          expect(`${resource.type} ${resource.name} ${path}: ${value}`).not.toContain(
            "PRIVATE KEY",
          );
        } else if (typeof value === "object" && value !== null) {
          for (const [key, item] of Object.entries(value)) {
            walk(item, path === "" ? key : `${path}.${key}`);
          }
        }
      };
      walk(resource.inputs, "");
    }
  });

  test("SecureStrings: key, name, path", () => {
    const parameters = cluster.all("aws:ssm/parameter:Parameter");
    expect(parameters).toHaveLength(13);
    for (const parameter of parameters) {
      expect(parameter.inputs["type"]).toBe("SecureString");
      expect(parameter.inputs["keyId"]).toBe("arn:aws:kms:eu-central-1:123456789012:key/0000");
      expect(parameter.inputs["name"]).toMatch(
        /^\/etcd\/(bastion\/ssh-host-key|m[1-3]\/(server-key|peer-key|agent-key|ssh-host-key))$/,
      );
      expect(parameter.secretInputs).toEqual(["value"]);
    }
  });

  test("outputs: keys are secret, the rest is not", async () => {
    const { result } = cluster;
    expect((await resolve(result.clientKey)).secret).toBe(true);
    expect((await resolve(result.sshPrivateKey)).secret).toBe(true);
    for (const open of [
      result.caCertificate,
      result.clientCertificate,
      result.members,
      result.health,
    ]) {
      expect((await resolve<unknown>(open)).secret).toBe(false);
    }
  });

  test("outputs for machines beside the cluster: a subnet of every zone, and the bastion's group", async () => {
    const { bastionSecurityGroup, privateSubnetIds } = cluster.result;
    const groups = cluster.find("aws:ec2/networkInterface:NetworkInterface", "etcd-bastion").inputs[
      "securityGroups"
    ] as string[];
    expect(groups).toContain((await resolve(bastionSecurityGroup)).value);
    for (const [index, zone] of ["eu-central-1a", "eu-central-1b", "eu-central-1c"].entries()) {
      const { inputs } = cluster.find(
        "aws:ec2/networkInterface:NetworkInterface",
        `etcd-m${index + 1}`,
      );
      const subnet = privateSubnetIds[zone];
      expect(subnet && (await resolve(subnet)).value).toBe(inputs["subnetId"]);
    }
    expect(Object.keys(privateSubnetIds)).toHaveLength(3);
  });
});

describe("certificates", () => {
  test("who may do what with which", () => {
    const uses = Object.fromEntries(
      cluster
        .all("tls:index/locallySignedCert:LocallySignedCert")
        .map(({ name, inputs }) => [name, inputs["allowedUses"]]),
    );
    const both = ["digital_signature", "server_auth", "client_auth"];
    const client = ["digital_signature", "client_auth"];
    const authority = ["cert_signing", "crl_signing", "digital_signature"];
    expect(uses).toEqual(
      Object.fromEntries([
        ["etcd-tls-client-ca", authority],
        ["etcd-tls-peer-ca", authority],
        ["etcd-tls-operator", client],
        ...memberNames.flatMap((member) => [
          [`etcd-tls-${member}-server`, both],
          [`etcd-tls-${member}-peer`, both],
          [`etcd-tls-${member}-agent`, client],
        ]),
      ]),
    );
  });

  test("peers are signed by another authority than clients", () => {
    const signer = (name: string) =>
      cluster.find("tls:index/locallySignedCert:LocallySignedCert", name).inputs["caCertPem"];
    expect(signer("etcd-tls-m1-peer")).not.toEqual(signer("etcd-tls-m1-server"));
    expect(signer("etcd-tls-m1-server")).toEqual(signer("etcd-tls-operator"));
  });

  test("names and addresses", () => {
    const request = (name: string) => {
      const { inputs } = cluster.find("tls:index/certRequest:CertRequest", name);
      return { dnsNames: inputs["dnsNames"], ipAddresses: inputs["ipAddresses"] };
    };
    expect(request("etcd-tls-m2-server")).toEqual({
      dnsNames: [
        "m2.etcd.internal",
        "etcd.internal",
        "etcd-0123456789abcdef.elb.eu-central-1.amazonaws.com",
        "localhost",
      ],
      ipAddresses: ["10.42.0.12", "127.0.0.1"],
    });
    expect(request("etcd-tls-m2-peer")).toEqual({
      dnsNames: ["m2.etcd.internal", "etcd.internal"],
      ipAddresses: ["10.42.0.12"],
    });
    expect(request("etcd-tls-operator")).toEqual({ dnsNames: undefined, ipAddresses: undefined });
  });
});

describe("deletion protection", () => {
  const kept = (recording: Recording<unknown>) =>
    recording.resources
      .filter(({ retainOnDelete }) => retainOnDelete)
      .map(({ type }) => type.split(":").at(-1) ?? "");

  test("on by default: volumes, bucket and key stay", () => {
    expect(new Set(kept(cluster))).toEqual(
      new Set([
        "Volume",
        "Key",
        "Alias",
        "Bucket",
        "BucketPublicAccessBlock",
        "BucketOwnershipControls",
        "BucketVersioning",
        "BucketServerSideEncryptionConfiguration",
        "BucketPolicy",
        "BucketLifecycleConfiguration",
        "BucketObjectv2",
      ]),
    );
    expect(cluster.find("aws:s3/bucket:Bucket", "etcd-backup").inputs["forceDestroy"]).toBe(false);
    expect(
      cluster.find("aws:lb/loadBalancer:LoadBalancer", "etcd-balancer").inputs[
        "enableDeletionProtection"
      ],
    ).toBe(true);
  });

  test("off: only objects stay, and they go with the bucket", async () => {
    const recording = await recordCluster({ deletionProtection: false });
    expect(new Set(kept(recording))).toEqual(new Set(["BucketObjectv2"]));
    expect(recording.find("aws:s3/bucket:Bucket", "etcd-backup").inputs["forceDestroy"]).toBe(true);
  });
});

describe("refusals", () => {
  test("nothing is registered when anything is wrong", async () => {
    await expect(recordCluster({ size: 4, adminCidrs: [] })).rejects.toThrow(/2 problems/);
    let attempted = false;
    try {
      new EtcdCluster("etcd", { ...leastArgs, size: 2 });
      attempted = true;
    } catch (error) {
      expect(String(error)).toContain("size is 2");
    }
    expect(attempted).toBe(false);
  });
});
