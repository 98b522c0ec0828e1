import { readFileSync, writeFileSync } from "node:fs";

import type { AccessRequest } from "#security/simulator";

/**
 * The calls that machines made in a lab, and the distinct kinds among them: names, ids and hashes replaced by what they are, so that
 * they can be asked again about the policies of any cluster.
 */

/** What the front records of a call (lab/front/callLog.ts), as far as it is read here. */
export interface RecordedCall {
  /** `admin`, `role/<name>/<instance>` or `service/<name>`. */
  readonly caller: string;
  readonly service: string;
  readonly operation: string;
  readonly needs?: readonly AccessRequest[];
  readonly status: number;
  readonly error?: string;
}

/** Whose role called. */
export const RoleKind = { member: "member", bastion: "bastion" } as const;
export type RoleKind = (typeof RoleKind)[keyof typeof RoleKind];

/** A kind of call: `{self}` stands for the member itself, `{other}` for another one, and so on. */
export interface CallKind extends AccessRequest {
  readonly role: RoleKind;
}

/** Where calls were made, or are asked about. */
export interface CallScope {
  readonly accountId: string;
  readonly region: string;
  readonly cluster: string;
  readonly bucket: string;
  readonly keyId: string;
}

/** Reads the front's record: one JSON object a line. */
export function readCalls(file: string): RecordedCall[] {
  return readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as RecordedCall);
}

/** The role of a machine's call, or undefined when it was not a machine. */
export function roleOf({ caller }: RecordedCall): string | undefined {
  return caller.startsWith("role/") ? caller.split("/")[1] : undefined;
}

/** Whether a call was refused by a policy, rather than by the state of things. */
export function wasRefused({ error = "" }: RecordedCall): boolean {
  return /^(Client\.)?(AccessDenied|UnauthorizedOperation|Lab(CannotAuthorize|UnknownPolicy))/.test(
    error,
  );
}

/** The owner of a role by its name: a member's name or `bastion`. */
export function ownerOf(roleName: string, { cluster, region }: CallScope): string {
  const owner = roleName.slice(cluster.length + 1, -region.length - 1);
  if (roleName !== `${cluster}-${owner}-${region}`) {
    throw new Error(`the role ${roleName} is not of the cluster ${cluster} in ${region}`);
  }
  return owner;
}

/** What a record of calls says of the cluster that it is of; an error when it is of none, or of several. */
export function scopeOf(calls: readonly RecordedCall[]): CallScope {
  const resources = calls.flatMap(({ needs = [] }) => needs.map(({ resource }) => resource));
  const one = (what: string, texts: readonly (string | undefined)[], pattern: RegExp): string => {
    const found = new Set(texts.flatMap((text) => pattern.exec(text ?? "")?.[1] ?? []));
    const [value] = found;
    if (value === undefined || found.size !== 1) {
      throw new Error(`the calls name ${found.size} different ${what}: ${[...found].join(", ")}`);
    }
    return value;
  };
  const key = /^arn:aws:kms:[^:]+:\d+:key\/(.+)$/;
  const region = one("regions", resources, /^arn:aws:kms:([^:]+):/);
  return {
    accountId: one("accounts", resources, /^arn:aws:kms:[^:]+:(\d+):/),
    region,
    cluster: one("clusters", calls.map(roleOf), new RegExp(`^(.+)-(?:bastion|m\\d+)-${region}$`)),
    bucket: one("buckets", resources, /^arn:aws:s3:::([^/]+)/),
    keyId: one("keys", resources, key),
  };
}

/** Context that says who asks from where, or that the lab's address ranges and sizes decide: not part of a kind. */
const general = new Set([
  "aws:requestedregion",
  "aws:securetransport",
  "aws:principalarn",
  "aws:principalaccount",
  "aws:sourceip",
  "kms:calleraccount",
  "ec2:volumesize",
  "s3:max-keys",
]);

/** Tags that EC2 and its groups set themselves, with ids of each run. */
const isGeneral = (name: string): boolean =>
  general.has(name) || name.startsWith("aws:resourcetag/aws:");

function kindOfText(text: string, owner: string, scope: CallScope): string {
  return text
    .replaceAll(scope.bucket, "{bucket}")
    .replaceAll(scope.keyId, "{key}")
    .replaceAll(scope.accountId, "{account}")
    .replace(new RegExp(`\\b${scope.region}[a-z]\\b`, "g"), "{zone}")
    .replaceAll(scope.region, "{region}")
    .replaceAll(scope.cluster, "{cluster}")
    .replace(/\b[0-9a-f]{64}\b/g, "{sha256}")
    .replace(/\bvolume\/\*$/, "volume/{volume}")
    .replace(/\bvol-[0-9a-f]{8,17}\b/g, "{volume}")
    .replace(/\bi-[0-9a-f]{8,17}\b/g, "{instance}")
    .replace(/\bm[1-9][0-9]?\b/g, (name) => (name === owner ? "{self}" : "{other}"))
    .replace(/(backups\/\{(?:self|other)\})\/.+$/, "$1/{name}")
    .replace(/(attestations)\/\d+\//, "$1/{epoch}/")
    .replace(/(attestations)\/\d+$/, "$1/{epoch}");
}

/** The kind of one request of an owner's machine. */
export function kindOf(request: AccessRequest, owner: string, scope: CallScope): CallKind {
  const value = (name: string, text: string): string =>
    name === "s3:if-match" ? "{etag}" : kindOfText(text, owner, scope);
  const context = Object.entries(request.context)
    .filter(([name]) => !isGeneral(name))
    .map(([name, values]) => [name, [...values].map((text) => value(name, text)).sort()] as const)
    .sort(([one], [other]) => (one < other ? -1 : 1));
  return {
    role: owner === "bastion" ? RoleKind.bastion : RoleKind.member,
    action: request.action,
    resource: kindOfText(request.resource, owner, scope),
    context: Object.fromEntries(context),
  };
}

/** What stands for the names of a kind when it is asked about a cluster. */
export interface Names {
  readonly self: string;
  readonly other: string;
  readonly zone: string;
}

/** A request of a kind, in the names of a cluster. */
export function requestOf(kind: CallKind, scope: CallScope, names: Names): AccessRequest {
  const values: Readonly<Record<string, string>> = {
    bucket: scope.bucket,
    key: scope.keyId,
    account: scope.accountId,
    region: scope.region,
    cluster: scope.cluster,
    sha256: "5".repeat(64),
    volume: "vol-0123456789abcdef0",
    instance: "i-0123456789abcdef0",
    name: "g1/20261121T120000Z.db",
    epoch: "7",
    etag: '"0123456789abcdef0123456789abcdef"',
    ...names,
  };
  const filled = (text: string): string =>
    text.replace(/\{(\w+)\}/g, (whole, name: string) => {
      const found = values[name];
      if (found === undefined) throw new Error(`${text}: nothing stands for ${whole}`);
      return found;
    });
  return {
    action: kind.action,
    resource: filled(kind.resource),
    context: {
      "aws:requestedregion": [scope.region],
      ...Object.fromEntries(
        Object.entries(kind.context).map(([name, list]) => [name, list.map(filled)]),
      ),
    },
  };
}

/** Distinct kinds, in a fixed order. */
export function distinct(kinds: readonly CallKind[]): CallKind[] {
  const known = new Map(kinds.map((kind) => [JSON.stringify(kind), kind]));
  return [...known.entries()].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, k]) => k);
}

/** The kinds of calls that were ever recorded in a lab: `make test-security` adds what it sees. One a line. */
export const recordedKinds = {
  read: (file: string): CallKind[] => JSON.parse(readFileSync(file, "utf8")) as CallKind[],
  write: (file: string, kinds: readonly CallKind[]): void => {
    const lines = distinct(kinds).map((kind) => `  ${JSON.stringify(kind)}`);
    writeFileSync(file, `[\n${lines.join(",\n")}\n]\n`);
  },
};

/** The distinct kinds of what the machines of a cluster asked for, and were given or refused for another reason than a policy. */
export function kindsOf(calls: readonly RecordedCall[], scope: CallScope): CallKind[] {
  return distinct(
    calls.flatMap((call) => {
      const role = roleOf(call);
      if (role === undefined || wasRefused(call)) return [];
      return (call.needs ?? []).map((need) => kindOf(need, ownerOf(role, scope), scope));
    }),
  );
}
