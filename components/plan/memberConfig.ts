import { createHash } from "node:crypto";
import { z } from "zod";

import { accessSchema } from "./accessControl";
import { parseAuthorities } from "./authorities";
import { canonicalJson } from "./canonicalJson";

/**
 * The document that tells one member's machine everything it must become: written by Pulumi, read by the agent.
 * It is immutable and named by its own hash (`config/<member>/<sha256>.json`), holds no secret, and is strict on both
 * sides: an agent that does not know a field must refuse it rather than ignore it.
 */

const sha256Hex = z.string().regex(/^[0-9a-f]{64}$/, "64 lower-case hexadecimal digits");
const memberName = z.string().regex(/^m[1-9][0-9]?$/, "m1, m2, …");
const ipv4 = z.ipv4();
const volumeId = z.string().regex(/^vol-[0-9a-f]{8,17}$/, "an EBS volume id");
const certificatePem = z
  .string()
  .max(16_384)
  .regex(/^-----BEGIN CERTIFICATE-----\n[\s\S]+-----END CERTIFICATE-----\n?$/, "PEM certificates");
const parameterName = z
  .string()
  .max(1011)
  .regex(/^(\/[a-z0-9-]+){3}$/, "/<cluster>/<member>/<what>");

/** What the agent adds from the cluster record; a document that fixed these would let two clusters form. */
export const agentOwnedVariables = [
  "ETCD_INITIAL_CLUSTER",
  "ETCD_INITIAL_CLUSTER_STATE",
  "ETCD_INITIAL_CLUSTER_TOKEN",
] as const;

/**
 * etcd's environment, exactly as it lands in /etc/etcd/etcd.env. Values are kept to characters that systemd's EnvironmentFile
 * takes literally, so that nobody has to agree about quoting.
 */
const environment = z
  .record(
    z.string().regex(/^ETCD_[A-Z0-9_]+$/, "an ETCD_ variable"),
    z
      .string()
      .max(4096)
      .regex(/^[\x21-\x7e]*$/, "printable ASCII without spaces")
      .regex(/^[^"'\\`]*$/, "no quotes and no backslash"),
  )
  .refine((variables) => agentOwnedVariables.every((name) => !(name in variables)), {
    message: `${agentOwnedVariables.join(", ")} come from the cluster record, never from here`,
  });

/** Schema of the document. */
export const memberConfigSchema = z
  .strictObject({
    /** Layout of this document; an agent refuses any other number. */
    schema: z.literal(1),
    /** Name of the cluster: lower-case letters, digits and hyphens, at most 24. */
    cluster: z.string().regex(/^[a-z]([a-z0-9-]{0,22}[a-z0-9])?$/),
    /** AWS region, for the endpoints the agent calls. */
    region: z.string().regex(/^[a-z]{2}(-[a-z]+)+-[0-9]$/),
    /** Name of the bucket with artifacts, documents, backups and the cluster record. */
    bucket: z.string().regex(/^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/),
    /** Name of the member; an identity that outlives machines. */
    member: memberName,
    /** Availability zone of the member's address and volume. */
    zone: z.string().regex(/^[a-z]{2}(-[a-z]+)+-[0-9][a-z]$/),
    /** IPv4 address of the member's network interface, fixed for the interface's life. */
    address: ipv4,
    /** The data volume: found by id, attached as `device`; the rest is for another one in its place, when it no longer exists. */
    volume: z.strictObject({
      id: volumeId,
      device: z.literal("/dev/sdf"),
      sizeGiB: z.int().min(1).max(16_384),
      iops: z.int().min(3000).max(80_000),
      throughputMiBps: z.int().min(125).max(2000),
      kmsKeyArn: z.string().regex(/^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key\/[0-9a-f-]{1,64}$/),
    }),
    /**
     * What the member's machine is launched with. One that was launched with something else is replaced when it is its turn. Absent in
     * documents of earlier versions: then any machine is right.
     */
    machine: z
      .strictObject({
        imageId: z.string().regex(/^ami-[0-9a-z]{8,17}$/, "an image id"),
        instanceType: z.string().regex(/^[a-z][a-z0-9-]*\.[a-z0-9-]+$/, "an instance type"),
        userDataSha256: sha256Hex,
      })
      .optional(),
    /** What the machine fetches from `artifacts/<sha256>` and checks before use. */
    artifacts: z.strictObject({
      node: z.strictObject({ sha256: sha256Hex }),
      agent: z.strictObject({ sha256: sha256Hex }),
      etcd: z.strictObject({
        sha256: sha256Hex,
        version: z.string().regex(/^3\.[0-9]+\.[0-9]+$/),
      }),
    }),
    /** etcd's settings, complete but for the three variables of the cluster record. */
    etcd: z.strictObject({ environment }),
    /** Public certificates, PEM. */
    certificates: z.strictObject({
      /** Which authorities sign and are trusted, for instance `1+2`; plan/authorities.ts says what may follow it. */
      authorities: z.string().refine((value) => parseAuthorities(value) !== undefined, {
        message: "authorities like 1 or 1+2",
      }),
      /** Roots: whom etcd trusts on 2379 and 2380. It reads them when it starts, and at no other time. */
      clientCa: certificatePem,
      peerCa: certificatePem,
      /** Server certificate for 2379, and that of the authority that signed it. */
      server: certificatePem,
      /** Server and client certificate for 2380, and that of the authority that signed it. */
      peer: certificatePem,
      /** Client certificate with which the agent calls etcd, and that of the authority that signed it. */
      agent: certificatePem,
      /** Authorities that were dropped: etcd turns away who presents one of these. */
      revoked: z.array(certificatePem).max(200),
    }),
    /** Names of the SSM SecureStrings that hold the private keys. */
    parameters: z.strictObject({
      serverKey: parameterName,
      peerKey: parameterName,
      agentKey: parameterName,
      sshHostKey: parameterName,
    }),
    /** The configured first members; only the creator of the cluster record reads them. */
    initialMembers: z
      .array(z.strictObject({ name: memberName, address: ipv4, volumeId }))
      .min(1)
      .max(7),
    /** What happens when a quorum is lost. */
    recovery: z.strictObject({
      mode: z.enum(["automatic", "manual"]),
      quorumLossSeconds: z.int().min(10).max(86_400),
      /** How long EC2 must not know the member's volume before another one is created. */
      volumeLossSeconds: z.int().min(30).max(86_400),
    }),
    /** etcd's own access control. */
    access: accessSchema,
    /** When backups are taken and tried; what expires of them after how many days is the bucket's affair. */
    backup: z.strictObject({
      everyMinutes: z.int().min(1).max(1440),
      /** The newest so many of all are not marked for expiry. */
      keepLast: z.int().min(2).max(10_000),
      drillEveryHours: z.int().min(1).max(720),
    }),
  })
  .superRefine((config, context) => {
    const own = config.initialMembers.find((each) => each.name === config.member);
    if (
      own !== undefined &&
      (own.address !== config.address || own.volumeId !== config.volume.id)
    ) {
      context.addIssue({
        code: "custom",
        path: ["initialMembers"],
        message: `${config.member} is listed with another address or volume than its own`,
      });
    }
    for (const field of ["name", "address", "volumeId"] as const) {
      if (
        new Set(config.initialMembers.map((each) => each[field])).size !==
        config.initialMembers.length
      ) {
        context.addIssue({ code: "custom", path: ["initialMembers"], message: `${field} repeats` });
      }
    }
  });

/** One member's desired state. */
export type MemberConfig = z.infer<typeof memberConfigSchema>;

/** A desired state as it is stored: the exact bytes, and the hash that names them. */
export interface RenderedMemberConfig {
  /** Canonical JSON with a final newline. */
  text: string;
  /** SHA-256 of `text`, lower-case hexadecimal. */
  sha256: string;
}

/** Checks a desired state and renders it: the same value always gives the same bytes, so that `up` twice changes nothing. */
export function renderMemberConfig(config: MemberConfig): RenderedMemberConfig {
  const text = `${canonicalJson(memberConfigSchema.parse(config))}\n`;
  return { text, sha256: createHash("sha256").update(text).digest("hex") };
}

/** Parses a stored desired state; throws when the bytes are not the ones that `sha256` names, or anything is unknown. */
export function parseMemberConfig(text: string, sha256: string): MemberConfig {
  const actual = createHash("sha256").update(text).digest("hex");
  if (actual !== sha256) {
    throw new Error(`the desired state named ${sha256} has the hash ${actual}`);
  }
  return memberConfigSchema.parse(JSON.parse(text));
}
