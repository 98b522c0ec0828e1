import { z } from "zod";

import type { Problem } from "./problems";

/**
 * etcd's own access control. A user is the common name of a client certificate; there are no passwords. Who runs the cluster (the agents,
 * the operators) has all rights; everybody else the keys that the program says.
 */

/** What somebody may do with keys. */
export const KeyAccess = {
  read: "read",
  write: "write",
  readwrite: "readwrite",
} as const;
/** What somebody may do with keys. */
export type KeyAccess = (typeof KeyAccess)[keyof typeof KeyAccess];

/** Rights on all keys that begin with a prefix. */
export interface KeyPermission {
  /** Beginning of the keys' names, for instance `/service/`; empty for all keys. */
  prefix: string;
  /** `read`, `write` or `readwrite`. */
  access: KeyAccess;
}

/** What a caller may choose. */
export interface AccessControlOptions {
  /** Defaults to false: whoever has a certificate may do everything. */
  enabled?: boolean | undefined;
  /** Rights by the name that was given to `issueClientCertificate`. Somebody without any may do nothing. */
  users?: Record<string, KeyPermission[]> | undefined;
}

const userName = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$/;

/** Schema of the desired state's part about it. */
export const accessSchema = z.strictObject({
  enabled: z.boolean(),
  users: z
    .array(
      z.strictObject({
        name: z.string().regex(userName),
        permissions: z.array(
          z.strictObject({ prefix: z.string().max(256), access: z.enum(KeyAccess) }),
        ),
      }),
    )
    .max(100),
});

/** What of it a machine reads. */
export type Access = z.infer<typeof accessSchema>;

/** Fills in the defaults; the same choices give the same value, in whatever order. */
export function resolveAccess(options: AccessControlOptions = {}): Access {
  const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
  return {
    enabled: options.enabled ?? false,
    users: Object.entries(options.users ?? {})
      .map(([name, permissions]) => ({
        name,
        permissions: permissions
          .map(({ prefix, access }) => ({ prefix, access }))
          .sort((a, b) => order(a.prefix, b.prefix)),
      }))
      .sort((a, b) => order(a.name, b.name)),
  };
}

/** Role and user that etcd demands before access control can be turned on. */
export const root = "root";

/** Common name of the operators' certificate. */
export const operator = "operator";

/** Common name of a member's agent. */
export function agentOf(member: string): string {
  return `agent-${member}`;
}

/**
 * Users that may do everything. The agents of all members that there ever may be: one that is new must not first wait until somebody has
 * told etcd of it, and what is restored from an older backup knows it, too.
 */
export const administrators: readonly string[] = [
  ...[root, operator],
  ...[1, 2, 3, 4, 5, 6, 7].map((number) => agentOf(`m${number}`)),
];

/** Why a consumer cannot have this name, or undefined. */
export function consumerNameProblem(
  name: string,
): { readonly rule: string; readonly remedy: string } | undefined {
  if (!userName.test(name)) {
    return {
      rule: "a consumer's name is 1 to 63 letters, digits or ._@- and begins with a letter or a digit",
      remedy: "choose a name like patroni",
    };
  }
  return name === root || name === operator || /^agent-m\d+$/.test(name)
    ? {
        rule: "whoever has a certificate with this name may do everything when access control is on",
        remedy: "choose another name",
      }
    : undefined;
}

/** What is wrong with it. */
export function accessProblems({ users }: Access): Problem[] {
  return users.flatMap(({ name, permissions }): Problem[] => {
    const path = `accessControl.users[${JSON.stringify(name)}]`;
    const problem = consumerNameProblem(name);
    const prefixes = permissions.map(({ prefix }) => prefix);
    const long = prefixes.find((prefix) => prefix.length > 256);
    return [
      ...(problem === undefined ? [] : [{ path, value: name, ...problem }]),
      ...(new Set(prefixes).size === prefixes.length
        ? []
        : [
            {
              path,
              value: prefixes,
              rule: "each prefix is named once",
              remedy: "name it once, with readwrite if both are meant",
            },
          ]),
      ...(long === undefined
        ? []
        : [
            {
              path,
              value: long,
              rule: "a prefix has at most 256 characters",
              remedy: "shorten it",
            },
          ]),
    ];
  });
}
