import * as aws from "@pulumi/aws";
import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { EtcdCluster } from "etcd-cluster";

import { PatroniFirewall } from "./firewall";
import { databaseProblems, databaseSql, patroniConfig, ports } from "./plan";
import { machineFile, PostgresMachine } from "./postgresMachine";
import { PatroniSecrets } from "./secrets";

/** For clients: any primary, proven by its certificate; and a dead one is noticed, also by who only waits for its answer. */
const clientSettings = {
  target_session_attrs: "read-write",
  sslmode: "verify-full",
  connect_timeout: "3",
  keepalives_idle: "3",
  keepalives_interval: "2",
  keepalives_count: "3",
  tcp_user_timeout: "10000",
};

/** What a PatroniCluster may be asked for. */
export interface PatroniClusterArgs {
  /** The store, with `grpcGateway` on: Patroni speaks JSON to it. The machines stand in its VPC, one in each of its first three zones. */
  cluster: EtcdCluster;
  /** AWS region, the one of the cluster. */
  region: string;
  /** Ids of security groups whose bearers are PostgreSQL's clients, by a name for each. Defaults to none. */
  clientSecurityGroups?: Record<string, pulumi.Input<string>>;
  /** Name of the applications' database, and of the user who owns it: a small letter, then those, digits and `_`. Defaults to `app`. */
  database?: string;
  /** Instance type, amd64. Defaults to `m7i.large`. Machines that are there keep theirs: README.md says how to change it one by one. */
  instanceType?: string;
  /** Size of each machine's data volume in GiB. Defaults to 20. */
  volumeSizeGiB?: number;
  /** Keep the data volumes and their key when the stack is destroyed. Defaults to true. */
  deletionProtection?: boolean;
  /** How long `up` waits for a primary with two standbys, seconds. Defaults to 900. */
  timeoutSeconds?: number;
  /** Tags of everything that can bear them. */
  tags?: Record<string, pulumi.Input<string>>;
}

/** One PostgreSQL machine. */
export interface PatroniMember {
  /** pg1, pg2, pg3: its name in Patroni, too. */
  name: string;
  zone: string;
  address: string;
  instanceId: string;
  volumeId: string;
  /** SSH host key; the way there is through the cluster's bastion. */
  hostKey: string;
}

/**
 * Three PostgreSQL machines with Patroni, of Debian's own packages, which keep their state and elect their primary in an EtcdCluster.
 * A commit is acknowledged when it is on two disks, and only a standby that has it is promoted.
 *
 * 1. a KMS key, an authority for the machines' certificates, and a security group;
 * 2. per machine a network interface, an encrypted data volume, a role, SecureStrings and an EC2 instance;
 * 3. a command on the bastion that waits for a primary with two standbys. All outputs for clients wait for it.
 */
export class PatroniCluster extends pulumi.ComponentResource {
  /** Addresses of the machines; which one is the primary is for clients to find (`target_session_attrs=read-write`). */
  readonly hosts: pulumi.Output<string[]>;
  /** PostgreSQL's port. */
  readonly port = ports.postgres;
  /** Port of Patroni's REST interface (HTTPS); `GET /primary` answers 200 on the primary and 503 elsewhere. */
  readonly restPort = ports.rest;
  /** The applications' database. */
  readonly database: string;
  /** Its owner. */
  readonly user: string;
  /** The owner's password; a secret. */
  readonly password: pulumi.Output<string>;
  /** The authority by which clients check the machines, PEM. */
  readonly caCertificate: pulumi.Output<string>;
  /** For libpq: leads to whichever machine is the primary, and checks its certificate. Password and `sslrootcert` are to be added. */
  readonly connectionString: pulumi.Output<string>;
  /** The machines. */
  readonly members: pulumi.Output<PatroniMember[]>;
  /** Id of the machines' security group. */
  readonly securityGroup: pulumi.Output<string>;

  constructor(name: string, args: PatroniClusterArgs, opts?: pulumi.ComponentResourceOptions) {
    super("patroni:index:PatroniCluster", name, {}, opts);
    checkNames(name, args);
    const { cluster, region } = args;
    const inside = { parent: this };
    const tags = { ...args.tags, "patroni:cluster": name };
    const keepData = args.deletionProtection ?? true;
    const volumeSizeGiB = args.volumeSizeGiB ?? 20;
    this.database = args.database ?? "app";
    this.user = this.database;

    const accountId = aws.getCallerIdentityOutput({}, inside).accountId;
    const partition = aws.getPartitionOutput({}, inside).partition;
    const secrets = new PatroniSecrets(`${name}-secrets`, inside);
    const firewall = new PatroniFirewall(
      name,
      {
        vpcId: cluster.vpcId,
        bastion: cluster.bastionSecurityGroup,
        clients: args.clientSecurityGroups ?? {},
        tags,
      },
      inside,
    );
    const basis = {
      ...{ scope: name, region, partition, accountId, keepData, volumeSizeGiB, tags },
      keyArn: this.key(name, keepData, partition, accountId, tags),
      securityGroupIds: [firewall.groupId, cluster.clientSecurityGroup],
      imageId: newestImage(inside),
      keyName: cluster.keyName,
      instanceType: args.instanceType ?? "m7i.large",
      bootNeeds: firewall.rules,
    };
    const machines = zonesOf(cluster).map(([zone, subnetId], index) => {
      const machine = `pg${index + 1}`;
      return new PostgresMachine(
        `${name}-${machine}`,
        { ...basis, machine, zone, subnetId },
        inside,
      );
    });
    const addresses = pulumi.all(machines.map(({ address }) => address));

    const store = cluster.issueClientCertificate(name);
    const password = secrets.password(this.user);
    const passwords = pulumi
      .all([
        secrets.password("postgres"),
        secrets.password("replicator"),
        secrets.password("rewind"),
      ])
      .apply(([postgres, replicator, rewind]) => ({ postgres, replicator, rewind }));
    const instances = machines.map((each) => {
      const { machine, address } = each;
      const server = secrets.certificate(machine, address);
      const config = pulumi
        .all([address, addresses, cluster.clientEndpoints, passwords])
        .apply(([own, all, endpoints, known]) =>
          patroniConfig({
            ...{ scope: name, machine, address: own, addresses: all, endpoints, passwords: known },
            ...{ database: this.database, user: this.user, volumeSizeGiB },
          }),
        );
      return each.start({
        "config.yml": config,
        "database.sql": password.apply((text) => databaseSql(this.database, this.user, text)),
        "etcd-ca.crt": cluster.caCertificate,
        "etcd.crt": store.certificatePem,
        "etcd.key": store.privateKeyPem,
        "ca.crt": secrets.caCertificate,
        "server.crt": server.certificatePem,
        "server.key": server.privateKeyPem,
      });
    });
    const ids = pulumi.all(instances.map(({ id }) => id));
    const ready = this.ready(name, args, { addresses, ca: secrets.caCertificate, ids });

    const afterwards = <T>(value: pulumi.Output<T>): pulumi.Output<T> =>
      pulumi.all([value, ready]).apply(([known]) => known) as pulumi.Output<T>;
    this.hosts = afterwards(addresses);
    this.password = password;
    this.caCertificate = secrets.caCertificate;
    this.connectionString = this.hosts.apply((hosts) => {
      const places = hosts.map((host) => `${host}:${ports.postgres}`).join(",");
      return `postgresql://${this.user}@${places}/${this.database}?${new URLSearchParams(clientSettings).toString()}`;
    });
    this.members = afterwards(
      pulumi.all(
        machines.map(({ machine, zone, address, volumeId, hostKey }, index) =>
          pulumi
            .all([address, volumeId, hostKey, instances[index]?.id ?? ""])
            .apply(([own, volume, key, instanceId]) => ({
              ...{ name: machine, zone, address: own, instanceId, volumeId: volume, hostKey: key },
            })),
        ),
      ),
    );
    this.securityGroup = firewall.groupId;
    this.registerOutputs({
      hosts: this.hosts,
      connectionString: this.connectionString,
      members: this.members,
    });
  }

  private key(
    name: string,
    keepData: boolean,
    partition: pulumi.Output<string>,
    accountId: pulumi.Output<string>,
    tags: Record<string, pulumi.Input<string>>,
  ): pulumi.Output<string> {
    const policy = pulumi.all([partition, accountId]).apply(([partitionName, account]) =>
      JSON.stringify({
        Version: "2012-10-17",
        Statement: [
          {
            Sid: "AccountDecidesByIam",
            Effect: "Allow",
            Principal: { AWS: `arn:${partitionName}:iam::${account}:root` },
            Action: "kms:*",
            Resource: "*",
          },
        ],
      }),
    );
    return new aws.kms.Key(
      name,
      {
        description: `${name}: disks and secrets of the PostgreSQL machines`,
        enableKeyRotation: true,
        deletionWindowInDays: 7,
        policy,
        tags,
      },
      // Volumes that stay would be noise without it.
      { parent: this, retainOnDelete: keepData },
    ).arn;
  }

  private ready(
    name: string,
    { cluster, timeoutSeconds = 900 }: PatroniClusterArgs,
    known: {
      addresses: pulumi.Output<string[]>;
      ca: pulumi.Output<string>;
      ids: pulumi.Output<string[]>;
    },
  ): pulumi.Output<string> {
    return new command.remote.Command(
      `${name}-ready`,
      {
        connection: {
          host: cluster.bastionHost,
          user: "admin",
          privateKey: cluster.sshPrivateKey,
          hostKey: cluster.bastionHostKey,
          // The bastion may still be booting.
          dialErrorLimit: 60,
        },
        create: "python3 -",
        // JSON of texts and numbers is Python as well.
        stdin: pulumi
          .all([known.addresses, known.ca])
          .apply(
            ([addresses, ca]) =>
              `ASK = ${JSON.stringify({ addresses, ca, timeoutSeconds })}\n${machineFile("ready.py")}`,
          ),
        addPreviousOutputInEnv: false,
        triggers: [known.ids],
      },
      { parent: this },
    ).stdout;
  }
}

/** Names become part of SQL, of etcd's keys and of AWS's names. */
function checkNames(name: string, args: PatroniClusterArgs): void {
  const problems = [
    ...(/^[a-z][a-z0-9-]{0,23}$/.test(name)
      ? []
      : [
          `the name ${JSON.stringify(name)}: a small letter, then at most 23 of those, digits and -`,
        ]),
    ...databaseProblems(args.database ?? "app"),
    ...(Object.keys(args.cluster.privateSubnetIds).length >= 3
      ? []
      : ["cluster: it has fewer than three zones; two standbys need two zones of their own"]),
  ];
  if (problems.length > 0) {
    throw new pulumi.InputPropertiesError({
      message: `PatroniCluster ${name}: ${problems.join("; ")}`,
      errors: problems.map((reason) => ({ propertyPath: "", reason })),
    });
  }
}

function zonesOf(cluster: EtcdCluster): [string, pulumi.Output<string>][] {
  return Object.entries(cluster.privateSubnetIds).slice(0, 3);
}

/** Debian's newest image for amd64; machines that exist keep theirs. */
export function newestImage(inside: pulumi.InvokeOptions): pulumi.Output<string> {
  return aws.ec2.getAmiOutput(
    {
      mostRecent: true,
      // Debian's account.
      owners: ["136693071363"],
      filters: [
        { name: "name", values: ["debian-13-amd64-*"] },
        { name: "architecture", values: ["x86_64"] },
      ],
    },
    inside,
  ).id;
}
