import { createHash } from "node:crypto";
import { addresses } from "../paths.ts";
import type { Balancer, HealthCheck, Listener, TargetHealth, Vpc } from "../world.ts";

/** Files and sockets the proxy of a VPC works with. */
export interface ProxyPlaces {
  /** PEM file with the key and the certificate for AWS's names and the archive's. */
  certificate: string;
  /** Socket of the front, which serves the AWS API in plain HTTP. */
  front: string;
  /** Socket of the metadata service. */
  metadata: string;
  /** Socket of Debian's archive, plain HTTP. */
  archive: string;
  /** Socket on which the proxy tells its statistics. */
  statistics: string;
  /** File with what is known of the targets when a configuration begins, see serverStates.ts. */
  serverStates: string;
}

/**
 * The proxy of a VPC: the way from AWS's addresses to the lab's front and metadata service, from Debian's to the
 * host's copy of its archive, and the network load balancers. VPC and address are what the two services know a machine by, so whatever a machine
 * says about them itself is replaced.
 */
export function renderProxy(vpc: Vpc, places: ProxyPlaces): string {
  const forward = (name: string) => [
    "  http-request set-header X-Forwarded-For %[src]",
    // Two VPCs may use the same addresses.
    `  http-request set-header X-Lab-Vpc ${vpc.id}`,
    "  http-request del-header Forwarded",
    `  default_backend ${name}`,
  ];
  return [
    "global",
    // With its listeners a new worker takes over the old one's connections that nobody has accepted yet.
    `  stats socket ${places.statistics} mode 600 level operator expose-fd listeners`,
    `  server-state-file ${places.serverStates}`,
    "  nbthread 1",
    "  maxconn 1000",
    // Connections through a replaced configuration live on for a while, as flows of a real balancer do.
    "  hard-stop-after 120s",
    "  ssl-default-bind-options ssl-min-ver TLSv1.2",
    "",
    "defaults",
    "  mode http",
    "  timeout connect 2s",
    "  timeout client 300s",
    "  timeout server 300s",
    "  load-server-state-from-file global",
    "",
    "frontend aws",
    `  bind ${addresses.awsApi}:443 ssl crt ${places.certificate} alpn http/1.1`,
    `  bind ${addresses.s3}:443 ssl crt ${places.certificate} alpn http/1.1`,
    "  http-request set-header X-Forwarded-Proto https",
    ...forward("aws"),
    "backend aws",
    `  server front unix@${places.front}`,
    "",
    "frontend metadata",
    `  bind ${addresses.metadata}:80`,
    ...forward("metadata"),
    "backend metadata",
    `  server metadata unix@${places.metadata}`,
    "",
    "frontend archive",
    `  bind ${addresses.debian}:80`,
    `  bind ${addresses.debian}:443 ssl crt ${places.certificate} alpn http/1.1`,
    "  default_backend archive",
    "backend archive",
    `  server archive unix@${places.archive}`,
    "",
    ...vpc.balancers.flatMap((balancer) =>
      balancer.addresses.flatMap(({ address }) =>
        balancer.listeners.flatMap((listener) => balance(balancer, address, listener)),
      ),
    ),
  ].join("\n");
}

/**
 * One listener on one of the balancer's addresses. The balancer's own address is the source towards targets
 * (client IP preservation is off), so the groups of both sides see the balancer and not the client.
 */
function balance(balancer: Balancer, address: string, listener: Listener): string[] {
  const { targetGroup, port, idleTimeoutSeconds } = listener;
  const name = sectionName(targetGroup.arn, address, port);
  const check = targetGroup.healthCheck;
  return [
    `# ${balancer.dnsName}`,
    `frontend ${name}`,
    "  mode tcp",
    `  bind ${address}:${port}`,
    `  timeout client ${idleTimeoutSeconds}s`,
    `  default_backend ${name}`,
    `backend ${name}`,
    "  mode tcp",
    "  balance roundrobin",
    `  source ${address}`,
    `  timeout server ${idleTimeoutSeconds}s`,
    `  timeout check ${check.timeoutSeconds}s`,
    // A real balancer does not try another target for a connection either.
    "  retries 0",
    ...httpCheck(check),
    ...targetGroup.targets.map(
      (target) =>
        `  server ${target.address}:${target.port} ${target.address}:${target.port} check port ${check.port}` +
        ` inter ${check.intervalSeconds}s rise ${check.healthyThreshold} fall ${check.unhealthyThreshold}` +
        " on-marked-down shutdown-sessions",
    ),
    "",
  ];
}

function httpCheck(check: HealthCheck): string[] {
  if (check.protocol.toUpperCase() !== "HTTP") return [];
  return [
    "  option httpchk",
    `  http-check send meth GET uri ${check.path ?? "/"} ver HTTP/1.1 hdr Host target`,
    "  http-check expect status 200-399",
  ];
}

/** Name of the proxy's part for one listener on one of its balancer's addresses. */
export function sectionName(arn: string, address: string, port: number): string {
  return `${groupKey(arn)}:${address}:${port}`;
}

function groupKey(arn: string): string {
  return createHash("sha256").update(arn).digest("hex").slice(0, 12);
}

/**
 * Target health out of the proxy's statistics (CSV, as "show stat" prints it). A target is healthy as soon as
 * one of the balancer's addresses finds it so, and "initial" as long as no probe has failed and not enough have succeeded.
 */
export function readTargets(
  vpc: Vpc,
  statistics: string,
): Record<string, Record<string, TargetHealth>> {
  const [heading, ...lines] = statistics.trim().split("\n");
  const columns = (heading ?? "").replace(/^# /, "").split(",");
  const at = (name: string) => columns.indexOf(name);
  const seen = new Map<string, TargetHealth[]>();
  for (const line of lines) {
    const fields = line.split(",");
    const key = `${(fields[at("pxname")] ?? "").split(":")[0]} ${fields[at("svname")]}`;
    const up = (fields[at("status")] ?? "").startsWith("UP");
    const probed = (fields[at("check_status")] ?? "").replace("* ", "");
    const unprobed = /^(|INI|UNK)$/.test(probed);
    const failed = !unprobed && !/^L\dOK$/.test(probed);
    const health = up && !unprobed ? "healthy" : failed ? "unhealthy" : "initial";
    seen.set(key, [...(seen.get(key) ?? []), health]);
  }
  const targets: Record<string, Record<string, TargetHealth>> = {};
  for (const { targetGroup } of vpc.balancers.flatMap(({ listeners }) => listeners)) {
    const group = (targets[targetGroup.arn] ??= {});
    for (const { address, port } of targetGroup.targets) {
      const opinions = seen.get(`${groupKey(targetGroup.arn)} ${address}:${port}`) ?? ["initial"];
      group[`${address}:${port}`] =
        (["healthy", "initial", "unhealthy"] as const).find((each) => opinions.includes(each)) ??
        "initial";
    }
  }
  return targets;
}
