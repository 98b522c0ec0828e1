import {
  administrators,
  root,
  type Access,
  type KeyAccess,
} from "../../components/plan/accessControl";

/** From what etcd says about users and roles, and what is desired, to what is to be done. Pure. */

/** Rights on the keys from `key` up to and without `end`, as etcd keeps them; bytes in hexadecimal. */
export interface Permission {
  readonly key: string;
  readonly end: string;
  readonly access: KeyAccess;
}

/** What etcd says. */
export interface AccessFacts {
  readonly enabled: boolean;
  /** Roles by user. */
  readonly users: ReadonlyMap<string, readonly string[]>;
  /** Rights by role. */
  readonly roles: ReadonlyMap<string, readonly Permission[]>;
}

/** One call. */
export type AccessAction =
  | { readonly kind: "enable" }
  | { readonly kind: "disable" }
  | { readonly kind: "addUser"; readonly user: string }
  | { readonly kind: "deleteUser"; readonly user: string }
  | { readonly kind: "addRole"; readonly role: string }
  | { readonly kind: "deleteRole"; readonly role: string }
  | { readonly kind: "grantRole"; readonly user: string; readonly role: string }
  | { readonly kind: "grant" | "revoke"; readonly role: string; readonly permission: Permission };

const prefixOfRoles = "etcd-cluster:";

/** The role of a user; its name marks the user as one of the program's. Others' users and roles are left as they are. */
export function roleOf(user: string): string {
  return `${prefixOfRoles}${user}`;
}

/** All keys that begin with a prefix, as etcd wants it: up to the prefix with its last byte raised; a zero byte is "all". */
export function rangeOf(prefix: string): { readonly key: string; readonly end: string } {
  const bytes = Buffer.from(prefix);
  if (bytes.length === 0) {
    return { key: "00", end: "00" };
  }
  const end = Buffer.from(bytes);
  const last = end.findLastIndex((byte) => byte < 0xff);
  if (last === -1) {
    return { key: bytes.toString("hex"), end: "00" };
  }
  end[last] = (end[last] ?? 0) + 1;
  return { key: bytes.toString("hex"), end: end.subarray(0, last + 1).toString("hex") };
}

/**
 * What is to be done, in order. Everybody who needs rights has them before access control is turned on; when it is turned off, users and
 * roles stay, so that turning it on again is one call.
 */
export function accessActions(facts: AccessFacts, desired: Access): AccessAction[] {
  if (!desired.enabled) {
    return facts.enabled ? [{ kind: "disable" }] : [];
  }
  return [
    ...administration(facts),
    ...desired.users.flatMap((user) => rights(facts, user)),
    ...strays(facts, desired),
    ...(facts.enabled ? [] : [{ kind: "enable" } as const]),
  ];
}

function administration({ users, roles }: AccessFacts): AccessAction[] {
  return [
    ...(roles.has(root) ? [] : [{ kind: "addRole", role: root } as const]),
    ...administrators.flatMap((user) => withRole(users, user, root)),
  ];
}

function withRole(users: AccessFacts["users"], user: string, role: string): AccessAction[] {
  return [
    ...(users.has(user) ? [] : [{ kind: "addUser", user } as const]),
    ...((users.get(user) ?? []).includes(role) ? [] : [{ kind: "grantRole", user, role } as const]),
  ];
}

function rights(
  { users, roles }: AccessFacts,
  { name, permissions }: Access["users"][number],
): AccessAction[] {
  const role = roleOf(name);
  const wanted = permissions.map(({ prefix, access }) => ({ ...rangeOf(prefix), access }));
  const there = roles.get(role) ?? [];
  const same = (a: Permission, b: Permission): boolean => a.key === b.key && a.end === b.end;
  const revoked = there.filter((each) => !wanted.some((other) => same(each, other)));
  // Granting for a range that has other rights replaces them.
  const granted = wanted.filter(
    (each) => !there.some((other) => same(each, other) && each.access === other.access),
  );
  return [
    ...(roles.has(role) ? [] : [{ kind: "addRole", role } as const]),
    ...revoked.map((permission) => ({ kind: "revoke", role, permission }) as const),
    ...granted.map((permission) => ({ kind: "grant", role, permission }) as const),
    ...withRole(users, name, role),
  ];
}

function strays({ users, roles }: AccessFacts, desired: Access): AccessAction[] {
  const wanted = new Set(desired.users.map(({ name }) => roleOf(name)));
  return [...roles.keys()]
    .filter((role) => role.startsWith(prefixOfRoles) && !wanted.has(role))
    .flatMap((role): AccessAction[] => {
      const user = role.slice(prefixOfRoles.length);
      const is = users.get(user)?.includes(role) === true;
      return [
        ...(is && !administrators.includes(user) ? [{ kind: "deleteUser", user } as const] : []),
        { kind: "deleteRole", role },
      ];
    });
}
