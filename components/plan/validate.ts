import { accessProblems } from "./accessControl";
import { authoritiesProblem } from "./authorities";
import { architectureOf, artifactArchitecture, upstreamHashes } from "./artifacts";
import { etcdVersionProblem } from "./etcdVersions";
import { kmsKeyProblem } from "./kmsKey";
import { quorum, sizes, toleratedFailures } from "./layout";
import { validateMonitoring } from "./monitoring";
import { clusterNameProblem } from "./names";
import { RecoveryMode, type ResolvedOptions } from "./options";
import type { Problem } from "./problems";
import { knownRegions, isKnownRegion } from "./regions";
import { validateNetwork } from "./validateNetwork";

/** A number within limits. */
interface Range {
  readonly path: string;
  readonly value: number;
  readonly least: number;
  readonly most: number;
  /** What it is a multiple of; 1 when absent. */
  readonly step?: number;
  readonly what: string;
}

/** Checks resolved options; complete, so that the user hears of everything at once. Pure: nothing is looked up at AWS. */
export function validate(options: ResolvedOptions): Problem[] {
  return [
    ...clusterName(options),
    ...size(options),
    ...region(options),
    ...validateNetwork(options),
    ...machines(options),
    ...disks(options),
    ...etcdVersion(options),
    ...authorities(options),
    ...accessProblems(options.accessControl),
    ...gateway(options),
    ...artifacts(options),
    ...recovery(options),
    ...backup(options),
    ...validateMonitoring(options.monitoring, options),
    ...kmsKey(options),
    ...tags(options),
  ];
}

function gateway({ grpcGateway, accessControl }: ResolvedOptions): Problem[] {
  return grpcGateway && accessControl.enabled
    ? [
        {
          path: "grpcGateway",
          value: grpcGateway,
          rule: "with access control etcd refuses whatever comes through the gateway: no certificate's name counts there",
          remedy:
            "turn one of the two off; a cluster of its own for clients of the gateway is an option",
        },
      ]
    : [];
}

function range({ path, value, least, most, what, step = 1 }: Range): Problem[] {
  return Number.isSafeInteger(value / step) && value >= least && value <= most
    ? []
    : [
        {
          path,
          value,
          rule: `${what} is a ${step === 1 ? "whole number" : `multiple of ${step}`} from ${least} to ${most}`,
          remedy: `choose one in that range`,
        },
      ];
}

function clusterName({ clusterName: name }: ResolvedOptions): Problem[] {
  const rule = clusterNameProblem(name);
  return rule === undefined
    ? []
    : [{ path: "clusterName", value: name, rule, remedy: "choose a name like etcd-dev" }];
}

/** The reason why sizes are odd. */
const sizeTable: readonly string[] = [
  "size  quorum  tolerated failures",
  ...[1, 2, 3, 4, 5, 6, 7].map(
    (n) => `${String(n).padEnd(4)}  ${String(quorum(n)).padEnd(6)}  ${toleratedFailures(n)}`,
  ),
];

function size({ size: value }: ResolvedOptions): Problem[] {
  if (sizes.includes(value)) {
    return [];
  }
  const below = sizes.filter((each) => each < value).at(-1) ?? 3;
  const common = { path: "size", value, remedy: `choose ${below}, or another odd size up to 7` };
  return Number.isSafeInteger(value) && value > 0 && value % 2 === 0
    ? [
        {
          ...common,
          rule: "a cluster has 1, 3, 5 or 7 members: an even size tolerates no more failures than the odd one below it",
          table: sizeTable,
        },
      ]
    : [
        {
          ...common,
          rule: "a cluster has 1, 3, 5 or 7 members: more make every write slower without making it safer",
        },
      ];
}

function region(options: ResolvedOptions): Problem[] {
  return isKnownRegion(options.region)
    ? []
    : [
        {
          path: "region",
          value: options.region,
          rule: "this is not an AWS region that is known here",
          remedy: `choose one of ${knownRegions.join(", ")}`,
        },
      ];
}

function machines(options: ResolvedOptions): Problem[] {
  const types = ["instanceType", "bastionInstanceType"] as const;
  return types.flatMap((path): Problem[] => {
    const value = options[path];
    if (!/^[a-z][a-z0-9-]*\.[a-z0-9-]+$/.test(value)) {
      return [
        {
          path,
          value,
          rule: "an instance type is a family and a size",
          remedy: "choose a type like m7i.large",
        },
      ];
    }
    return architectureOf(value) === artifactArchitecture
      ? []
      : [
          {
            path,
            value,
            rule: `this is an ${architectureOf(value)} type, and the artifacts are built for ${artifactArchitecture}`,
            remedy: "choose an Intel or AMD type, for instance m7i.large",
          },
        ];
  });
}

function disks(options: ResolvedOptions): Problem[] {
  const { volumeSizeGiB, backendQuotaGiB, volumeIops, volumeThroughputMiBps } = options;
  const found = [
    ...range({
      path: "rootVolumeSizeGiB",
      value: options.rootVolumeSizeGiB,
      least: 8,
      most: 1024,
      what: "a root disk's size in GiB",
    }),
    ...range({
      path: "volumeSizeGiB",
      value: volumeSizeGiB,
      least: 3,
      most: 16_384,
      what: "a data volume's size in GiB",
    }),
    ...range({
      path: "backendQuotaGiB",
      value: backendQuotaGiB,
      least: 0.25,
      most: 8,
      step: 0.25,
      what: "the quota in GiB (etcd is not meant for more than 8)",
    }),
    ...range({
      path: "volumeIops",
      value: volumeIops,
      least: 3000,
      most: 16_000,
      what: "the IOPS of a gp3 volume",
    }),
    ...range({
      path: "volumeThroughputMiBps",
      value: volumeThroughputMiBps,
      least: 125,
      most: 1000,
      what: "the throughput of a gp3 volume in MiB/s",
    }),
    ...range({
      path: "certificateValidityDays",
      value: options.certificateValidityDays,
      least: 30,
      most: 1825,
      what: "the validity of certificates in days",
    }),
    ...range({
      path: "certificateRenewalDays",
      value: options.certificateRenewalDays,
      least: 1,
      most: options.certificateValidityDays,
      what: "the days before a certificate's end from which on an `up` renews it, within its validity,",
    }),
  ];
  if (backendQuotaGiB * 3 > volumeSizeGiB) {
    found.push({
      path: "backendQuotaGiB",
      value: backendQuotaGiB,
      rule: `the data volume (${volumeSizeGiB} GiB) holds the database, its log, a snapshot in transfer and what is set aside: at least three times the quota`,
      remedy: `lower the quota, or set volumeSizeGiB to ${Math.ceil(backendQuotaGiB * 3)} or more`,
    });
  }
  if (volumeIops > 500 * volumeSizeGiB && volumeIops > 3000) {
    found.push({
      path: "volumeIops",
      value: volumeIops,
      rule: `gp3 gives at most 500 IOPS per GiB, here ${500 * volumeSizeGiB}`,
      remedy: "lower volumeIops, or enlarge volumeSizeGiB",
    });
  }
  if (volumeThroughputMiBps * 4 > volumeIops) {
    found.push({
      path: "volumeThroughputMiBps",
      value: volumeThroughputMiBps,
      rule: `gp3 gives at most a quarter MiB/s for each of its IOPS, here ${volumeIops / 4}`,
      remedy: `lower it, or set volumeIops to ${volumeThroughputMiBps * 4} or more`,
    });
  }
  return found;
}

function etcdVersion({ etcdVersion: value }: ResolvedOptions): Problem[] {
  const problem = etcdVersionProblem(value);
  return problem === undefined ? [] : [{ path: "etcdVersion", value, ...problem }];
}

function authorities({ certificateAuthorities }: ResolvedOptions): Problem[] {
  const problem = authoritiesProblem(certificateAuthorities);
  return problem === undefined ? [] : [problem];
}

function artifacts(options: ResolvedOptions): Problem[] {
  const lists = { node: upstreamHashes.node(), etcd: upstreamHashes.etcd(options.etcdVersion) };
  return (["node", "etcd"] as const).flatMap((what): Problem[] => {
    const source = options.artifacts[what];
    const path = `artifacts.${what}`;
    const found: Problem[] = [];
    if (source.sha256 === undefined && source.path === undefined) {
      found.push({
        path: `${path}.sha256`,
        value: source.sha256,
        rule: `a download is used only if its SHA-256 is known beforehand, and none is for ${source.url ?? "it"}`,
        remedy: `set it to the hash that the publisher lists at ${lists[what]}, or set ${path}.path to a local file`,
      });
    }
    if (source.sha256 !== undefined && !/^[0-9a-f]{64}$/.test(source.sha256)) {
      found.push({
        path: `${path}.sha256`,
        value: source.sha256,
        rule: "a SHA-256 is 64 lower-case hexadecimal digits",
        remedy: "copy it from the publisher's list, or from sha256sum",
      });
    }
    if (source.path === undefined && !/^https:\/\/[^\s]+$/.test(source.url ?? "")) {
      found.push({
        path: `${path}.url`,
        value: source.url,
        rule: "an artifact is fetched by https",
        remedy: "give its https address, or leave it out for the project's own release",
      });
    }
    if (source.path !== undefined && !source.path.startsWith("/")) {
      found.push({
        path: `${path}.path`,
        value: source.path,
        rule: "a local file is named by its absolute path",
        remedy: "begin it with /",
      });
    }
    return found;
  });
}

function recovery(options: ResolvedOptions): Problem[] {
  const { mode, quorumLossSeconds, volumeLossSeconds } = options.recovery;
  const modes: readonly string[] = Object.values(RecoveryMode);
  const found = [
    ...range({
      path: "recovery.quorumLossSeconds",
      value: quorumLossSeconds,
      least: 10,
      most: 86_400,
      what: "the time without quorum after which members report, in seconds,",
    }),
    ...range({
      path: "recovery.volumeLossSeconds",
      value: volumeLossSeconds,
      least: 30,
      most: 86_400,
      what: "the time after which a volume that EC2 does not know is replaced, in seconds,",
    }),
  ];
  return modes.includes(mode)
    ? found
    : [
        ...found,
        {
          path: "recovery.mode",
          value: mode,
          rule: `recovery is ${modes.join(" or ")}`,
          remedy: "choose one of them, or leave it out for automatic",
        },
      ];
}

function backup({ backup: given }: ResolvedOptions): Problem[] {
  return [
    ...range({
      path: "backup.everyMinutes",
      value: given.everyMinutes,
      least: 1,
      most: 1440,
      what: "the time between two backups in minutes",
    }),
    ...range({
      path: "backup.keepLast",
      value: given.keepLast,
      least: 2,
      most: 10_000,
      what: "the number of backups that never expire",
    }),
    ...range({
      path: "backup.keepDays",
      value: given.keepDays,
      least: 1,
      most: 3650,
      what: "the age after which older backups expire, in days,",
    }),
    ...range({
      path: "backup.drillEveryHours",
      value: given.drillEveryHours,
      least: 1,
      most: 720,
      what: "the time between two restore drills in hours",
    }),
  ];
}

function kmsKey({ kmsKeyArn, region }: ResolvedOptions): Problem[] {
  const problem = isKnownRegion(region) ? kmsKeyProblem(kmsKeyArn, region) : undefined;
  return problem === undefined ? [] : [problem];
}

function tags(options: ResolvedOptions): Problem[] {
  const entries = Object.entries(options.tags);
  const found = entries.flatMap(([key, value]): Problem[] => {
    const bad =
      key.length < 1 ||
      key.length > 128 ||
      /^aws:/i.test(key) ||
      !/^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u.test(key);
    const badValue =
      typeof value === "string" &&
      (value.length > 256 || !/^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u.test(value));
    return [
      ...(bad
        ? [
            {
              path: `tags[${JSON.stringify(key)}]`,
              value: key,
              rule: "a tag's key has 1 to 128 letters, digits, spaces or _.:/=+-@ and does not begin with aws:",
              remedy: "rename the tag",
            },
          ]
        : []),
      ...(badValue
        ? [
            {
              path: `tags[${JSON.stringify(key)}]`,
              value,
              rule: "a tag's value has at most 256 letters, digits, spaces or _.:/=+-@",
              remedy: "shorten the value, or replace its unusual characters",
            },
          ]
        : []),
    ];
  });
  // AWS takes 50 (10 on bucket objects, which get none); three are ours.
  return entries.length <= 45
    ? found
    : [
        ...found,
        {
          path: "tags",
          value: entries.length,
          rule: "a resource takes 50 tags, of which this program needs up to 5",
          remedy: "give at most 45",
        },
      ];
}
