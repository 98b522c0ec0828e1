import type { Control, Findings } from "#security/controls/control";
import type { MachineFacts } from "#security/controls/machineFacts";

/** Controls over what a member's machine says of itself: files, etcd's settings as its process has them, sshd. */

type Facts = MachineFacts;

const withSetting =
  (name: string, value: string) =>
  (facts: Facts): Facts => ({ ...facts, etcd: { ...facts.etcd, [name]: value } });
const withMode =
  (path: string, mode: string) =>
  (facts: Facts): Facts => ({ ...facts, modes: { ...facts.modes, [path]: mode } });
const withSshd =
  (name: string, value: string) =>
  (facts: Facts): Facts => ({ ...facts, sshd: { ...facts.sshd, [name]: value } });
const withProcess =
  (name: string, value: string) =>
  (facts: Facts): Facts => ({ ...facts, process: { ...facts.process, [name]: value } });
const withListener =
  (listener: string) =>
  (facts: Facts): Facts => ({ ...facts, listeners: [...facts.listeners, listener] });

/** Settings that have to have exactly these values; undefined: that must not be set. */
function settings(wanted: Readonly<Record<string, string | undefined>>) {
  return ({ etcd }: Facts): Findings =>
    Object.entries(wanted)
      .filter(([name, value]) => etcd[name] !== value)
      .map(([name, value]) => `${name} is ${etcd[name] ?? "not set"}, not ${value ?? "left out"}`);
}

/** Paths that match have one of these modes and owners, and there are some. */
function modes(pattern: RegExp, ...wanted: readonly string[]) {
  return ({ modes: found }: Facts): Findings => {
    const paths = Object.entries(found).filter(([path]) => pattern.test(path));
    return paths.length === 0
      ? [`nothing is at ${pattern.source}`]
      : paths
          .filter(([, mode]) => !wanted.includes(mode))
          .map(([path, mode]) => `${path}: ${mode}`);
  };
}

const data = "/var/lib/etcd/data";
const pki = "/etc/etcd/pki";

/** CIS Kubernetes Benchmark, section 2 (etcd), which kube-bench looks for too. */
const cis: readonly Control<Facts>[] = [
  {
    id: "etcd-server-certificate",
    what: "clients are served over TLS with a certificate and key of the member's own",
    sources: ["CIS 2.1"],
    check: (facts) => [
      ...settings({ ETCD_CERT_FILE: `${pki}/server.crt`, ETCD_KEY_FILE: `${pki}/server.key` })(
        facts,
      ),
      ...(/^https:\/\/[^,]*(,https:\/\/[^,]*)*$/.test(facts.etcd["ETCD_LISTEN_CLIENT_URLS"] ?? "")
        ? []
        : [`clients may come without TLS: ${facts.etcd["ETCD_LISTEN_CLIENT_URLS"] ?? ""}`]),
    ],
    mutants: {
      "no certificate": withSetting("ETCD_CERT_FILE", ""),
      "another key": withSetting("ETCD_KEY_FILE", `${pki}/peer.key`),
      "a listener without TLS": withSetting(
        "ETCD_LISTEN_CLIENT_URLS",
        "https://10.42.0.5:2379,http://127.0.0.1:2379",
      ),
    },
  },
  {
    id: "etcd-client-authentication",
    what: "a client needs a certificate of the clients' authority",
    sources: ["CIS 2.2"],
    check: settings({
      ETCD_CLIENT_CERT_AUTH: "true",
      ETCD_TRUSTED_CA_FILE: `${pki}/client-ca.crt`,
    }),
    mutants: {
      anybody: withSetting("ETCD_CLIENT_CERT_AUTH", "false"),
      "peers too": withSetting("ETCD_TRUSTED_CA_FILE", `${pki}/peer-ca.crt`),
    },
  },
  {
    id: "etcd-no-auto-tls",
    what: "no certificate that etcd has signed for itself serves clients",
    sources: ["CIS 2.3"],
    check: settings({ ETCD_AUTO_TLS: undefined }),
    mutants: { "it does": withSetting("ETCD_AUTO_TLS", "true") },
  },
  {
    id: "etcd-peer-certificate",
    what: "members speak TLS with each other, with certificates of their own",
    sources: ["CIS 2.4"],
    check: (facts) => [
      ...settings({
        ETCD_PEER_CERT_FILE: `${pki}/peer.crt`,
        ETCD_PEER_KEY_FILE: `${pki}/peer.key`,
      })(facts),
      ...(/^https:\/\/[^,]*$/.test(facts.etcd["ETCD_LISTEN_PEER_URLS"] ?? "")
        ? []
        : [`members may come without TLS: ${facts.etcd["ETCD_LISTEN_PEER_URLS"] ?? ""}`]),
    ],
    mutants: {
      "no certificate": withSetting("ETCD_PEER_CERT_FILE", ""),
      "a listener without TLS": withSetting("ETCD_LISTEN_PEER_URLS", "http://10.42.0.5:2380"),
    },
  },
  {
    id: "etcd-peer-authentication",
    what: "a peer needs a certificate of the peers' authority",
    sources: ["CIS 2.5"],
    check: settings({
      ETCD_PEER_CLIENT_CERT_AUTH: "true",
      ETCD_PEER_TRUSTED_CA_FILE: `${pki}/peer-ca.crt`,
    }),
    mutants: {
      anybody: withSetting("ETCD_PEER_CLIENT_CERT_AUTH", "false"),
      "clients too": withSetting("ETCD_PEER_TRUSTED_CA_FILE", `${pki}/client-ca.crt`),
    },
  },
  {
    id: "etcd-revocation",
    what: "both ports read a list of what was revoked, so that a dropped authority's certificates are turned away",
    sources: ["DESIGN 5"],
    check: settings({
      ETCD_CLIENT_CRL_FILE: `${pki}/revoked.crl`,
      ETCD_PEER_CRL_FILE: `${pki}/revoked.crl`,
    }),
    mutants: {
      "clients' port without": withSetting("ETCD_CLIENT_CRL_FILE", ""),
      "peers' port without": withSetting("ETCD_PEER_CRL_FILE", ""),
    },
  },
  {
    id: "etcd-no-peer-auto-tls",
    what: "no certificate that etcd has signed for itself serves peers",
    sources: ["CIS 2.6"],
    check: settings({ ETCD_PEER_AUTO_TLS: undefined }),
    mutants: { "it does": withSetting("ETCD_PEER_AUTO_TLS", "true") },
  },
  {
    id: "etcd-authorities",
    what: "etcd has authorities of its own, one for clients and another for peers",
    sources: ["CIS 2.7"],
    check: ({ authorities: { client, peer } }) =>
      /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/.test(client) && client !== peer
        ? []
        : [`clients' authority ${client}, peers' ${peer}`],
    mutants: {
      "one for both": (facts) => ({
        ...facts,
        authorities: { client: facts.authorities.client, peer: facts.authorities.client },
      }),
    },
  },
  {
    id: "etcd-tls-version",
    what: "TLS 1.2 at least, and of its suites only those with forward secrecy and authenticated encryption",
    sources: ["Trail of Bits 2020 (15)", "DESIGN 3"],
    check: (facts) => [
      ...settings({ ETCD_TLS_MIN_VERSION: "TLS1.2", ETCD_TLS_MAX_VERSION: undefined })(facts),
      ...(facts.etcd["ETCD_CIPHER_SUITES"] ?? "all")
        .split(",")
        .filter(
          (suite) =>
            !/^TLS_ECDHE_ECDSA_WITH_(AES_\d+_GCM_SHA\d+|CHACHA20_POLY1305_SHA256)$/.test(suite),
        )
        .map((suite) => `the suite ${suite}`),
    ],
    mutants: {
      "an older version": withSetting("ETCD_TLS_MIN_VERSION", "TLS1.1"),
      "a weak suite": withSetting("ETCD_CIPHER_SUITES", "TLS_RSA_WITH_AES_128_CBC_SHA"),
      "nothing newer": withSetting("ETCD_TLS_MAX_VERSION", "TLS1.2"),
    },
  },
  {
    id: "etcd-no-debugging",
    what: "no profiling over the network, no HTTP gateway",
    sources: ["etcd threat model"],
    check: settings({ ETCD_ENABLE_PPROF: undefined, ETCD_ENABLE_GRPC_GATEWAY: "false" }),
    mutants: {
      profiling: withSetting("ETCD_ENABLE_PPROF", "true"),
      "the gateway": withSetting("ETCD_ENABLE_GRPC_GATEWAY", "true"),
    },
  },
];

/** Who may read and change what. */
const files: readonly Control<Facts>[] = [
  {
    id: "data-directory",
    what: "the data directory, and all folders in it, is etcd's alone (700 etcd:etcd)",
    sources: ["CIS 1.1.11", "CIS 1.1.12"],
    check: modes(new RegExp(`^${data}(/member(/(snap|wal))?)?$`), "700 etcd:etcd"),
    mutants: {
      "for the group": withMode(data, "750 etcd:etcd"),
      "root's": withMode(data, "700 root:root"),
      "an open log": withMode(`${data}/member/wal`, "755 etcd:etcd"),
    },
  },
  {
    id: "key-files",
    what: "keys and certificates are etcd's alone (600), in a folder that only etcd may enter (750 root:etcd)",
    sources: ["CIS 1.1.19", "CIS 1.1.20", "CIS 1.1.21"],
    check: (facts) => [
      ...modes(new RegExp(`^${pki}/.+$`), "600 etcd:etcd")(facts),
      ...modes(new RegExp(`^${pki}$`), "750 root:etcd")(facts),
      // What the link leads to, and whatever else an exchange has left there.
      ...modes(new RegExp(`^${pki}\\.d(/[^/]+)?$`), "750 root:etcd")(facts),
      ...modes(new RegExp(`^${pki}\\.d/[^/]+/.+$`), "600 etcd:etcd")(facts),
      ...modes(/^\/etc\/ssh\/ssh_host_ed25519_key$/, "600 root:root")(facts),
    ],
    mutants: {
      "a readable key": withMode(`${pki}/server.key`, "644 etcd:etcd"),
      "somebody else's": withMode(`${pki}/peer.key`, "600 admin:admin"),
      "an open folder": withMode(pki, "755 root:root"),
      "an open store": withMode(`${pki}.d`, "755 root:root"),
      "an older key, readable": withMode(`${pki}.d/older/server.key`, "644 etcd:etcd"),
      "a readable host key": withMode("/etc/ssh/ssh_host_ed25519_key", "644 root:root"),
    },
  },
  {
    id: "unit-files",
    what: "units, programs and settings are root's, and nobody else changes them",
    sources: ["CIS 1.1.7", "CIS 1.1.8"],
    check: (facts) => [
      ...modes(/^\/etc\/systemd\/system\/[a-z-]+\.(service|timer)$/, "644 root:root")(facts),
      ...modes(/^\/usr\/local\/bin\/etcd/, "755 root:root")(facts),
      ...modes(/^\/etc\/etcd\/etcd\.env$/, "600 root:root")(facts),
      ...Object.entries(facts.modes)
        .filter(([path]) => /^\/(etc\/etcd-cluster|opt\/etcd-cluster|run\/etcd-cluster)/.test(path))
        .filter(([, mode]) => !/^[0-7]?[0-7][0145][0145] root:root$/.test(mode))
        .map(([path, mode]) => `${path}: ${mode}`),
    ],
    mutants: {
      "a unit that a group may change": withMode(
        "/etc/systemd/system/etcd.service",
        "664 root:root",
      ),
      "a program that is etcd's": withMode("/usr/local/bin/etcd-agent", "755 etcd:etcd"),
      "settings that all may read": withMode("/etc/etcd/etcd.env", "644 root:root"),
      "a permit that all may change": withMode("/run/etcd-cluster/permit", "666 root:root"),
      "an artifact that is etcd's": withMode("/opt/etcd-cluster/agent", "755 etcd:etcd"),
    },
  },
];

/** Processes and ways in. */
const processes: readonly Control<Facts>[] = [
  {
    id: "etcd-unprivileged",
    what: "etcd runs as etcd, without any capability, and can gain none; its system calls are filtered",
    sources: ["DESIGN 4"],
    check: ({ process, etcd }) => [
      ...(/^0\b/.test(process["Uid"] ?? "0") || etcd["USER"] !== "etcd"
        ? ["etcd runs as root"]
        : []),
      ...["CapPrm", "CapEff", "CapBnd", "CapAmb"]
        .filter((name) => !/^0+$/.test(process[name] ?? ""))
        .map((name) => `${name} ${process[name] ?? ""}`),
      ...(process["NoNewPrivs"] === "1" ? [] : ["etcd may gain privileges"]),
      ...(process["Seccomp"] === "2" ? [] : ["system calls are not filtered"]),
    ],
    mutants: {
      "as root": withProcess("Uid", "0\t0\t0\t0"),
      "a capability": withProcess("CapEff", "0000000000000400"),
      "one to be had": withProcess("CapBnd", "000001ffffffffff"),
      "privileges to be gained": withProcess("NoNewPrivs", "0"),
      "no filter": withProcess("Seccomp", "0"),
    },
  },
  {
    id: "listeners",
    what: "a member's machine listens on 22, 2379, 2380 and 2381 and on nothing else; etcd on the machine's own address and on loopback",
    sources: ["DESIGN 3"],
    check: ({ listeners, address }) => {
      const wanted = [
        ...["127.0.0.1:2379", "127.0.0.1:2381", "0.0.0.0:22", "[::]:22"],
        ...[2379, 2380, 2381].map((port) => `${address}:${port}`),
      ];
      return [
        ...listeners
          .filter((one) => !wanted.includes(one))
          .map((one) => `somebody listens on ${one}`),
        ...wanted
          .filter((one) => !listeners.includes(one))
          .map((one) => `nobody listens on ${one}`),
      ];
    },
    mutants: {
      "on every address": withListener("0.0.0.0:2379"),
      "on another port": withListener("127.0.0.1:9000"),
      "not at all": (facts) => ({ ...facts, listeners: facts.listeners.slice(1) }),
    },
  },
  {
    id: "sshd",
    what: "sshd takes keys only, never root, shows the pinned host key only, and forwards no port, agent or screen",
    sources: ["CIS Debian 5.1", "DESIGN 3"],
    check: ({ sshd }) =>
      Object.entries({
        permitrootlogin: "no",
        passwordauthentication: "no",
        kbdinteractiveauthentication: "no",
        permitemptypasswords: "no",
        hostbasedauthentication: "no",
        pubkeyauthentication: "yes",
        permituserenvironment: "no",
        x11forwarding: "no",
        allowagentforwarding: "no",
        allowtcpforwarding: "no",
        permittunnel: "no",
        hostkey: "/etc/ssh/ssh_host_ed25519_key",
      })
        .filter(([name, value]) => sshd[name] !== value)
        .map(([name, value]) => `${name} is ${sshd[name] ?? "not set"}, not ${value}`),
    mutants: {
      root: withSshd("permitrootlogin", "prohibit-password"),
      passwords: withSshd("passwordauthentication", "yes"),
      questions: withSshd("kbdinteractiveauthentication", "yes"),
      "another key": withSshd("hostkey", "/etc/ssh/ssh_host_rsa_key"),
      "an agent to be borrowed": withSshd("allowagentforwarding", "yes"),
      "a way on": withSshd("allowtcpforwarding", "yes"),
      "a screen": withSshd("x11forwarding", "yes"),
    },
  },
];

/** All controls over a member's machine. */
export const machineControls: readonly Control<Facts>[] = [...cis, ...files, ...processes];
