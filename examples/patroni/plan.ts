/** What Patroni, PostgreSQL and the machines are told. Plain data and texts, nothing of Pulumi. */

/** TCP ports between the machines and for clients. */
export const ports = { postgres: 5432, rest: 8008, ssh: 22, https: 443 } as const;

/**
 * Patroni's clock, seconds: its own defaults. A primary that is gone is replaced when its key in etcd ends, `ttl` after it was last
 * renewed, which happens every `loop_wait`. etcd may be without a leader for `retry_timeout` without anybody noticing.
 */
export const timing = { ttl: 30, loop_wait: 10, retry_timeout: 10 } as const;

const postgresVersion = 17;
const configFolder = "/etc/patroni";

/** Where a machine keeps what it reads from the parameter store, and who is told when it changes. */
export const machineFiles = {
  "config.yml": { file: `${configFolder}/config.yml`, owner: "postgres", usedBy: "patroni" },
  "database.sql": { file: `${configFolder}/database.sql`, owner: "postgres", usedBy: "patroni" },
  "etcd-ca.crt": { file: `${configFolder}/tls/etcd-ca.crt`, owner: "postgres", usedBy: "patroni" },
  "etcd.crt": { file: `${configFolder}/tls/etcd.crt`, owner: "postgres", usedBy: "patroni" },
  "etcd.key": { file: `${configFolder}/tls/etcd.key`, owner: "postgres", usedBy: "patroni" },
  "ca.crt": { file: `${configFolder}/tls/ca.crt`, owner: "postgres", usedBy: "patroni" },
  "server.crt": { file: `${configFolder}/tls/server.crt`, owner: "postgres", usedBy: "patroni" },
  "server.key": { file: `${configFolder}/tls/server.key`, owner: "postgres", usedBy: "patroni" },
  ssh_host_ed25519_key: { file: "/etc/ssh/ssh_host_ed25519_key", owner: "root", usedBy: "ssh" },
} as const;

/** One of these files. */
export type MachineFile = keyof typeof machineFiles;

/** Passwords by PostgreSQL's users. */
export interface Passwords {
  readonly postgres: string;
  readonly replicator: string;
  readonly rewind: string;
}

/** What one machine's Patroni is to do. */
export interface PatroniSettings {
  /** Name of the cluster; its keys in etcd begin with `/patroni/<scope>/`. */
  readonly scope: string;
  /** This machine. */
  readonly machine: string;
  readonly address: string;
  /** Addresses of all machines. */
  readonly addresses: readonly string[];
  /** etcd's endpoints, `https://<address>:2379`. */
  readonly endpoints: readonly string[];
  /** The applications' database, and its owner. */
  readonly database: string;
  readonly user: string;
  readonly volumeSizeGiB: number;
  readonly passwords: Passwords;
}

/** Patroni's configuration; JSON is YAML. */
export function patroniConfig(settings: PatroniSettings): string {
  const { scope, machine, address, passwords } = settings;
  const tls = {
    own: { certfile: machineFiles["server.crt"].file, keyfile: machineFiles["server.key"].file },
    ca: machineFiles["ca.crt"].file,
  };
  const verified = { sslmode: "verify-full", sslrootcert: tls.ca };
  const as = (username: keyof Passwords) => ({
    username,
    password: passwords[username],
    ...verified,
  });
  return JSON.stringify({
    scope,
    namespace: "/patroni/",
    name: machine,
    restapi: {
      listen: `${address}:${ports.rest}`,
      connect_address: `${address}:${ports.rest}`,
      ...tls.own,
      cafile: tls.ca,
      // Whoever the firewall lets in may ask how things are; who wants to change something shows a machine's certificate.
      verify_client: "optional",
    },
    ctl: { ...tls.own, cacert: tls.ca },
    etcd3: {
      hosts: settings.endpoints.map((endpoint) => endpoint.replace(/^https:\/\//, "")),
      protocol: "https",
      cacert: machineFiles["etcd-ca.crt"].file,
      cert: machineFiles["etcd.crt"].file,
      key: machineFiles["etcd.key"].file,
    },
    bootstrap: {
      dcs: clusterWide(settings),
      initdb: [{ encoding: "UTF8" }, { locale: "C.UTF-8" }, "data-checksums"],
      post_bootstrap: "/usr/local/lib/patroni/database.sh",
    },
    postgresql: {
      listen: `${address}:${ports.postgres}`,
      connect_address: `${address}:${ports.postgres}`,
      data_dir: `/var/lib/postgresql/${postgresVersion}/main`,
      bin_dir: `/usr/lib/postgresql/${postgresVersion}/bin`,
      pgpass: "/run/postgresql/patroni.pgpass",
      use_unix_socket: true,
      // A standby that is made anew does not wait for the primary's next checkpoint, which takes minutes.
      basebackup: [{ checkpoint: "fast" }],
      authentication: {
        superuser: as("postgres"),
        replication: as("replicator"),
        rewind: as("rewind"),
      },
      parameters: {
        unix_socket_directories: "/run/postgresql",
        ssl: "on",
        ssl_cert_file: machineFiles["server.crt"].file,
        ssl_key_file: machineFiles["server.key"].file,
      },
      pg_hba: accessRules(settings),
    },
    watchdog: { mode: "off" },
  });
}

/** The first machine writes this into etcd; from then on it is changed by `patronictl edit-config`. */
function clusterWide({ volumeSizeGiB }: PatroniSettings) {
  return {
    ...timing,
    // A commit is acknowledged when one of the two standbys has it on its disk as well, and only one that has all of them is promoted.
    synchronous_mode: "quorum",
    // Without any standby there is no second copy: then nothing is acknowledged.
    synchronous_mode_strict: true,
    // If etcd as a whole is away, the primary stays as long as it reaches all of the others, so that none of them can be promoted.
    failsafe_mode: true,
    postgresql: {
      use_pg_rewind: true,
      use_slots: true,
      parameters: {
        wal_level: "replica",
        hot_standby: "on",
        max_wal_senders: 10,
        max_replication_slots: 10,
        // A standby that is away must not fill the primary's disk.
        max_slot_wal_keep_size: `${Math.ceil(volumeSizeGiB / 4)}GB`,
      },
    },
  };
}

/** Everything but the machine's own superuser comes by TLS and with a password. */
function accessRules({ addresses, database, user }: PatroniSettings): string[] {
  return [
    "local all postgres peer",
    ...addresses.flatMap((address) => [
      `hostssl replication replicator ${address}/32 scram-sha-256`,
      `hostssl postgres rewind ${address}/32 scram-sha-256`,
    ]),
    // From where is for the security groups to say.
    `hostssl ${database} ${user} 0.0.0.0/0 scram-sha-256`,
  ];
}

/** Names of PostgreSQL, and of the users that Patroni makes; a database that cannot be made shows only when the machines are there. */
const taken: readonly string[] = [
  ...["postgres", "replicator", "rewind", "template0", "template1"],
  ...["public", "none", "replication", "all"],
];

/** What is wrong with the name of the applications' database, which is its owner's as well. */
export function databaseProblems(name: string): string[] {
  return /^(?!pg_)[a-z][a-z0-9_]{0,30}$/.test(name) && !taken.includes(name)
    ? []
    : [
        `database ${JSON.stringify(name)}: a small letter, then at most 30 of those, digits and _; not pg_…, ${taken.join(", ")}`,
      ];
}

/** Makes the applications' database and its owner. */
export function databaseSql(database: string, user: string, password: string): string {
  return [
    // Should one of these fail, it is not to be found in the log with the password in it.
    "SET log_min_error_statement = panic;",
    "SET log_statement = none;",
    `CREATE ROLE "${user}" LOGIN PASSWORD '${password}';`,
    `CREATE DATABASE "${database}" OWNER "${user}";`,
    "",
  ].join("\n");
}

/** Name of a machine's parameter. */
export function parameterName(scope: string, machine: string, file: MachineFile): string {
  return `/${scope}/${machine}/${file}`;
}

/** What a machine's user data depends on. None of it is secret. */
export interface BootSettings {
  readonly scope: string;
  readonly machine: string;
  readonly region: string;
  readonly volumeId: string;
}

/** User data for cloud-init: the scripts, their units, and where everything else is. JSON is YAML. `read` gives a file of machine/. */
export function userData(settings: BootSettings, read: (name: string) => string): string {
  const { scope, machine, region, volumeId } = settings;
  const files = Object.fromEntries(
    Object.entries(machineFiles).map(([name, place]) => [
      parameterName(scope, machine, name as MachineFile),
      { ...place, mode: "0600" },
    ]),
  );
  const script = (name: string) => ({
    path: `/usr/local/lib/patroni/${name}`,
    permissions: "0755",
    content: read(name),
  });
  const unit = (name: string) => ({ path: `/etc/systemd/system/${name}`, content: read(name) });
  const environment = [`VOLUME_ID=${volumeId}`, "AWS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt"];
  const units = ["patroni-machine.service", "patroni-secrets.timer"];
  const document = {
    write_files: [
      ...["setup.sh", "secrets.py", "database.sh"].map(script),
      ...[...units, "patroni-secrets.service"].map(unit),
      { path: "/etc/systemd/system/patroni.service.d/machine.conf", content: read("patroni.conf") },
      { path: "/etc/patroni-machine.env", content: `${environment.join("\n")}\n` },
      {
        path: "/etc/patroni-machine.json",
        content: JSON.stringify({ region, files }),
      },
    ],
    runcmd: [
      ["systemctl", "daemon-reload"],
      ["systemctl", "enable", "--now", "--no-block", ...units],
    ],
  };
  return `#cloud-config\n${JSON.stringify(document)}\n`;
}

/** Where a machine's role applies. */
export interface RoleScope {
  readonly partition: string;
  readonly region: string;
  readonly accountId: string;
  readonly scope: string;
  readonly machine: string;
  readonly keyArn: string;
}

/** A machine reads its own parameters, and nothing else. */
export function machinePolicy(where: RoleScope): string {
  const { partition, region, accountId, scope, machine, keyArn } = where;
  const suffix = partition === "aws-cn" ? "amazonaws.com.cn" : "amazonaws.com";
  return JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      {
        Sid: "ReadOwnSecrets",
        Effect: "Allow",
        Action: "ssm:GetParameters",
        Resource: `arn:${partition}:ssm:${region}:${accountId}:parameter/${scope}/${machine}/*`,
      },
      {
        Sid: "DecryptThem",
        Effect: "Allow",
        Action: "kms:Decrypt",
        Resource: keyArn,
        Condition: { StringEquals: { "kms:ViaService": `ssm.${region}.${suffix}` } },
      },
    ],
  });
}
