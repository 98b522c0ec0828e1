import { Egress, type EtcdCluster, type IssuedCertificate } from "../../../components";
import { agentArtifact, machineScript, resolveArtifact } from "../../../components/machineFiles";
import { recordCluster } from "../../support/cluster";
import { resolve, type Recording } from "../../support/recordingMocks";

jest.mock("../../../components/machineFiles", () => {
  const real = jest.requireActual<object>("../../../components/machineFiles");
  return {
    ...real,
    agentArtifact: () => ({ kind: "file", path: "/agent.tar.gz", sha256: "a".repeat(64) }),
  };
});

const letters = ["a", "b", "c"];
const ofType = (recording: Recording<unknown>, type: string) =>
  recording.all(type).map(({ name }) => name);

let cluster: Recording<EtcdCluster>;
beforeAll(async () => {
  cluster = await recordCluster();
});

describe("network", () => {
  test("one NAT gateway serves all zones", () => {
    const recording = cluster;
    expect(ofType(recording, "aws:ec2/natGateway:NatGateway")).toEqual(["etcd-network-nat"]);
    for (const letter of letters) {
      const route = recording.find("aws:ec2/route:Route", `etcd-network-private-${letter}-nat`);
      expect(route.inputs).toEqual({
        routeTableId: `etcd-network-private-${letter}-id`,
        destinationCidrBlock: "0.0.0.0/0",
        natGatewayId: "etcd-network-nat-id",
      });
    }
  });

  test("one NAT gateway per zone, each in its own", async () => {
    const recording = await recordCluster({ egress: Egress.natPerZone });
    for (const letter of letters) {
      const gateway = recording.find("aws:ec2/natGateway:NatGateway", `etcd-network-nat-${letter}`);
      expect(gateway.inputs["subnetId"]).toBe(`etcd-network-public-${letter}-id`);
      const route = recording.find("aws:ec2/route:Route", `etcd-network-private-${letter}-nat`);
      expect(route.inputs["natGatewayId"]).toBe(`etcd-network-nat-${letter}-id`);
    }
  });

  test("no way out: endpoints, and no rule and no route to everywhere from private subnets", async () => {
    const recording = await recordCluster({ egress: Egress.vpcEndpoints });
    expect(ofType(recording, "aws:ec2/natGateway:NatGateway")).toEqual([]);
    expect(ofType(recording, "aws:ec2/vpcEndpoint:VpcEndpoint").sort()).toEqual([
      "etcd-network-ec2",
      "etcd-network-monitoring",
      "etcd-network-s3",
      "etcd-network-ssm",
    ]);
    expect(ofType(recording, "aws:ec2/route:Route")).toEqual(["etcd-network-public-internet"]);
    const rules = recording.all("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule");
    expect(rules.filter(({ inputs }) => inputs["cidrIpv4"] !== undefined)).toEqual([]);
    const toAws = rules.filter(({ inputs }) => inputs["fromPort"] === 443);
    expect(
      toAws
        .map(({ inputs }) => inputs["prefixListId"] ?? inputs["referencedSecurityGroupId"])
        .sort(),
    ).toEqual(["etcd-network-endpoints-id", "etcd-network-endpoints-id", "pl-6ea54007"]);
  });

  test("the members' subnets are private, the bastion's is public, the S3 endpoint serves the private ones", () => {
    const recording = cluster;
    letters.forEach((letter, index) => {
      const face = recording.find(
        "aws:ec2/networkInterface:NetworkInterface",
        `etcd-m${index + 1}`,
      );
      expect(face.inputs["subnetId"]).toBe(`etcd-network-private-${letter}-id`);
    });
    expect(
      recording.find("aws:ec2/networkInterface:NetworkInterface", "etcd-bastion").inputs[
        "subnetId"
      ],
    ).toBe("etcd-network-public-a-id");
    expect(
      recording.find("aws:ec2/vpcEndpoint:VpcEndpoint", "etcd-network-s3").inputs["routeTableIds"],
    ).toEqual(letters.map((letter) => `etcd-network-private-${letter}-id`));
    for (const subnet of recording.all("aws:ec2/subnet:Subnet")) {
      expect(subnet.inputs["mapPublicIpOnLaunch"]).toBe(false);
    }
  });

  test("an existing VPC: nothing of a network is made, its subnets are used", async () => {
    const subnets = letters.map((letter) => ({
      zone: `eu-central-1${letter}`,
      privateSubnetId: `subnet-0000000${letter}`,
      publicSubnetId: `subnet-1000000${letter}`,
    }));
    const recording = await recordCluster({ existingNetwork: { vpcId: "vpc-01234567", subnets } });
    for (const type of [
      "vpc:Vpc",
      "subnet:Subnet",
      "natGateway:NatGateway",
      "route:Route",
      "vpcEndpoint:VpcEndpoint",
    ]) {
      expect(recording.all(`aws:ec2/${type}`)).toEqual([]);
    }
    expect(
      recording.find("aws:ec2/networkInterface:NetworkInterface", "etcd-m2").inputs["subnetId"],
    ).toBe("subnet-0000000b");
    expect(
      recording.find("aws:ec2/networkInterface:NetworkInterface", "etcd-bastion").inputs[
        "subnetId"
      ],
    ).toBe("subnet-1000000a");
    expect(recording.find("aws:route53/zone:Zone", "etcd-names").inputs["vpcs"]).toEqual([
      { vpcId: "vpc-01234567" },
    ]);
    expect((await resolve(recording.result.vpcId)).value).toBe("vpc-01234567");
  });
});

describe("firewall", () => {
  test("administrators' blocks open the bastion's SSH, and nothing else is open to addresses", async () => {
    const recording = await recordCluster({
      adminCidrs: ["198.51.100.0/24", "203.0.113.9/32"],
      clientCidrs: ["10.7.0.0/16"],
    });
    const open = recording
      .all("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
      .filter(({ inputs }) => inputs["cidrIpv4"] !== undefined)
      .map(
        ({ inputs }) =>
          `${String(inputs["securityGroupId"])} ${String(inputs["fromPort"])} ${String(inputs["cidrIpv4"])}`,
      )
      .sort();
    expect(open).toEqual([
      "etcd-firewall-balancer-id 2379 10.7.0.0/16",
      "etcd-firewall-bastion-id 22 198.51.100.0/24",
      "etcd-firewall-bastion-id 22 203.0.113.9/32",
      "etcd-firewall-members-id 2379 10.7.0.0/16",
    ]);
  });

  test("every rule is TCP on one port with one peer", () => {
    const recording = cluster;
    for (const direction of ["Ingress", "Egress"]) {
      for (const { inputs } of recording.all(
        `aws:vpc/securityGroup${direction}Rule:SecurityGroup${direction}Rule`,
      )) {
        expect(inputs["ipProtocol"]).toBe("tcp");
        expect(inputs["fromPort"]).toBe(inputs["toPort"]);
        const peers = ["cidrIpv4", "referencedSecurityGroupId", "prefixListId"].filter(
          (peer) => inputs[peer] !== undefined,
        );
        expect(peers).toHaveLength(1);
      }
    }
  });
});

describe("balancer", () => {
  test("internal, TCP pass-through, checked by /readyz, with a security group from birth", () => {
    const recording = cluster;
    expect(recording.find("aws:lb/loadBalancer:LoadBalancer", "etcd-balancer").inputs).toEqual({
      name: "etcd",
      loadBalancerType: "network",
      internal: true,
      subnets: letters.map((letter) => `etcd-network-private-${letter}-id`),
      securityGroups: ["etcd-firewall-balancer-id"],
      enableCrossZoneLoadBalancing: true,
      enableDeletionProtection: true,
      tags: { "etcd-cluster:cluster": "etcd" },
    });
    expect(recording.find("aws:lb/targetGroup:TargetGroup", "etcd-balancer").inputs).toMatchObject({
      protocol: "TCP",
      port: 2379,
      targetType: "ip",
      preserveClientIp: "false",
      healthCheck: { protocol: "HTTP", port: "2381", path: "/readyz" },
    });
    expect(recording.find("aws:lb/listener:Listener", "etcd-balancer").inputs).toMatchObject({
      protocol: "TCP",
      port: 2379,
      tcpIdleTimeoutSeconds: 350,
    });
    expect(
      recording
        .all("aws:lb/targetGroupAttachment:TargetGroupAttachment")
        .map(({ inputs }) => inputs["targetId"]),
    ).toEqual(["10.42.0.11", "10.42.0.12", "10.42.0.13"]);
  });
});

describe("bucket", () => {
  test("named after account and region, locked down before anything is stored", () => {
    const recording = cluster;
    expect(recording.find("aws:s3/bucket:Bucket", "etcd-backup").inputs["bucket"]).toBe(
      "etcd-123456789012-eu-central-1",
    );
    expect(
      recording.find(
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        "etcd-backup-no-public-access",
      ).inputs,
    ).toMatchObject({
      blockPublicAcls: true,
      blockPublicPolicy: true,
      ignorePublicAcls: true,
      restrictPublicBuckets: true,
    });
    const lifecycle = recording.find(
      "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
      "etcd-backup-lifecycle",
    );
    expect(lifecycle.inputs["rules"]).toEqual([
      {
        id: "superseded-backups",
        status: "Enabled",
        filter: { prefix: "backups/" },
        noncurrentVersionExpiration: { noncurrentDays: 30 },
        expiration: { expiredObjectDeleteMarker: true },
        abortIncompleteMultipartUpload: { daysAfterInitiation: 1 },
      },
      {
        id: "marked-backups",
        status: "Enabled",
        filter: { and: { prefix: "backups/", tags: { "etcd-cluster:expire": "yes" } } },
        expiration: { days: 30 },
      },
    ]);
    for (const object of recording.all("aws:s3/bucketObjectv2:BucketObjectv2")) {
      for (const guard of ["policy", "encryption", "versioning", "ownership", "no-public-access"]) {
        expect(object.dependencies).toContain(`etcd-backup-${guard}`);
      }
    }
  });

  test("artifacts lie under their hashes", () => {
    const recording = cluster;
    const keys = recording
      .all("aws:s3/bucketObjectv2:BucketObjectv2")
      .filter(({ name }) => name.includes("artifact"))
      .map(({ name, inputs }) => `${name} ${String(inputs["key"])}`)
      .sort();
    expect(keys).toEqual([
      `etcd-backup-artifact-agent artifacts/${"a".repeat(64)}`,
      `etcd-backup-artifact-etcd artifacts/${"c".repeat(64)}`,
      `etcd-backup-artifact-node artifacts/${"b".repeat(64)}`,
    ]);
  });
});

describe("bastion", () => {
  test("one machine on an interface and address of its own", () => {
    const recording = cluster;
    const bastion = recording.find("aws:ec2/instance:Instance", "etcd-bastion");
    expect(bastion.inputs).toMatchObject({
      instanceType: "t3.micro",
      primaryNetworkInterface: { networkInterfaceId: "etcd-bastion-id" },
      iamInstanceProfile: "etcd-bastion-eu-central-1",
      metadataOptions: {
        httpEndpoint: "enabled",
        httpTokens: "required",
        httpPutResponseHopLimit: 1,
      },
      rootBlockDevice: { encrypted: true },
    });
    expect(bastion.deleteBeforeReplace).toBe(true);
    expect(bastion.dependencies).toContain("etcd-bastion-ssh-host-key");
    expect(recording.find("aws:ec2/eip:Eip", "etcd-bastion").inputs["networkInterface"]).toBe(
      "etcd-bastion-id",
    );
    const text = Buffer.from(String(bastion.inputs["userDataBase64"]), "base64").toString();
    expect(text).toContain("cluster='etcd'");
    expect(text).not.toContain("PRIVATE KEY");
  });
});

describe("names", () => {
  test("A records, and SRV records of both kinds", async () => {
    const recording = await recordCluster({ domain: "etcd.example.com" });
    const records = recording
      .all("aws:route53/record:Record")
      .map(
        ({ inputs }) =>
          `${String(inputs["name"])} ${String(inputs["type"])} ${(inputs["records"] as string[]).join(", ")}`,
      )
      .sort();
    const srv = (port: number) =>
      ["m1", "m2", "m3"].map((m) => `0 0 ${port} ${m}.etcd.example.com.`).join(", ");
    expect(records).toEqual([
      `_etcd-client-ssl._tcp.etcd.example.com SRV ${srv(2379)}`,
      `_etcd-server-ssl._tcp.etcd.example.com SRV ${srv(2380)}`,
      "m1.etcd.example.com A 10.42.0.11",
      "m2.etcd.example.com A 10.42.0.12",
      "m3.etcd.example.com A 10.42.0.13",
    ]);
  });
});

describe("client certificates", () => {
  test("one more consumer, signed by the client CA, its key a secret", async () => {
    let issued: IssuedCertificate | undefined;
    const recording = await recordCluster({}, (cluster) => {
      issued = cluster.issueClientCertificate("patroni");
    });
    const types = [
      "privateKey:PrivateKey",
      "certRequest:CertRequest",
      "locallySignedCert:LocallySignedCert",
    ];
    for (const type of types) {
      recording.find(`tls:index/${type}`, "etcd-tls-consumer-patroni");
    }
    const { inputs } = recording.find(
      "tls:index/certRequest:CertRequest",
      "etcd-tls-consumer-patroni",
    );
    expect(inputs["subject"]).toEqual({ commonName: "patroni", organization: "etcd" });
    expect(issued && (await resolve(issued.privateKeyPem)).secret).toBe(true);
    expect(issued && (await resolve(issued.certificatePem)).value).toContain("BEGIN CERTIFICATE");
  });
});

describe("the exchange of authorities", () => {
  /** Names of what is there, without the cluster's prefix. */
  async function made(certificateAuthorities: string): Promise<(type: string) => string[]> {
    const { resources } = await recordCluster({ certificateAuthorities, size: 1 });
    return (type) =>
      resources
        .filter((each) => each.type.endsWith(`:${type}`))
        .map(({ name }) => name.replace(/^etcd-(tls-)?/, ""))
        .sort();
  }

  test("while both are trusted there are keys for both, and one signs", async () => {
    const both = await made("2+1");
    expect(both("LocallySignedCert")).toEqual(
      [
        ...["client-ca", "client-ca-2", "peer-ca", "peer-ca-2"],
        ...["m1-agent@2", "m1-peer@2", "m1-server@2", "operator@2"],
      ].sort(),
    );
    expect(both("SelfSignedCert")).toEqual([
      ...["client-ca", "client-ca-2", "client-root", "peer-root"],
    ]);
    const kinds = ["agent-key", "peer-key", "server-key"];
    expect(both("Parameter").filter((name) => name.startsWith("m1-"))).toEqual(
      [...kinds.flatMap((kind) => [`m1-${kind}`, `m1-${kind}-2`]), "m1-ssh-host-key"].sort(),
    );
  });

  test("of a dropped one its certificate is left, to be revoked", async () => {
    const second = await made("2");
    expect(second("LocallySignedCert")).toContain("client-ca");
    expect(second("SelfSignedCert")).toEqual(["client-ca-2", "client-root", "peer-root"]);
    expect(second("Parameter").filter((name) => name.startsWith("m1-"))).toEqual([
      ...["m1-agent-key-2", "m1-peer-key-2", "m1-server-key-2", "m1-ssh-host-key"],
    ]);
  });

  test("a consumer cannot have the name of an administrator", async () => {
    await recordCluster({ size: 1 }, (cluster) => {
      expect(() => cluster.issueClientCertificate("agent-m1")).toThrow("choose another name");
    });
  });
});

describe("tags", () => {
  test("the caller's reach everything that bears tags; its object is not changed", async () => {
    const tags = { team: "storage" };
    const recording = await recordCluster({ tags });
    expect(tags).toEqual({ team: "storage" });
    const untagged = recording.resources
      .filter(({ inputs, type }) => inputs["tags"] === undefined && type.startsWith("aws:"))
      .map(({ type }) => type.split(":").at(-1) ?? "");
    expect(new Set(untagged)).toEqual(
      new Set([
        "Route",
        "RouteTableAssociation",
        "RolePolicy",
        "Alias",
        "Record",
        "TargetGroupAttachment",
        "BucketVersioning",
        "BucketServerSideEncryptionConfiguration",
        "BucketPublicAccessBlock",
        "BucketPolicy",
        "BucketLifecycleConfiguration",
        "BucketOwnershipControls",
        "BucketObjectv2",
        "Dashboard",
      ]),
    );
    for (const { inputs } of recording.resources) {
      const own = inputs["tags"];
      if (own !== undefined && !Array.isArray(own)) {
        expect(own).toMatchObject(tags);
      }
    }
  });
});

describe("files of machines", () => {
  const real = jest.requireActual<{
    agentArtifact: typeof agentArtifact;
    machineScript: typeof machineScript;
    resolveArtifact: typeof resolveArtifact;
  }>("../../../components/machineFiles");

  test("scripts are those of the repository", () => {
    expect(real.machineScript("boot.sh")).toContain("@MEMBER@");
    expect(real.machineScript("bastion.sh")).toContain("@CLUSTER@");
  });

  test("a local artifact is hashed unless its hash is given; a download needs both", () => {
    const path = __filename;
    expect(real.resolveArtifact({ path })).toMatchObject({
      kind: "file",
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
    });
    expect(real.resolveArtifact({ path, sha256: "f".repeat(64) })).toMatchObject({
      sha256: "f".repeat(64),
    });
    expect(() => real.resolveArtifact({ url: "https://x" })).toThrow(/address and its hash/);
  });
});
