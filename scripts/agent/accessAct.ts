import type { Etcd3 } from "etcd3";

import { KeyAccess, type Access } from "../../components/plan/accessControl";
import { accessActions, type AccessAction, type AccessFacts, type Permission } from "./access";

/** What is used of the etcd client. */
export interface AuthCalls {
  readonly auth: Etcd3["auth"];
  /** Options of a call: its deadline. */
  readonly bounded: () => { deadline: number };
}

/** Whether access control is on, and a number that changes whenever users or roles do. */
export interface AccessStatus {
  readonly enabled: boolean;
  readonly revision: string;
}

const types = {
  [KeyAccess.read]: "Read",
  [KeyAccess.write]: "Write",
  [KeyAccess.readwrite]: "Readwrite",
} as const;
const accesses: Readonly<Record<string, KeyAccess>> = {
  Read: KeyAccess.read,
  Write: KeyAccess.write,
  Readwrite: KeyAccess.readwrite,
};

/** Asks for it; one cheap call. */
export async function accessStatus({ auth, bounded }: AuthCalls): Promise<AccessStatus> {
  const { enabled, authRevision } = await auth.authStatus(bounded());
  return { enabled, revision: authRevision };
}

/**
 * Brings users, roles and access control to what is desired. Returns what was done, in words; nothing when all was right.
 *
 * @param enabled whether it is on now, as `accessStatus` says
 */
export async function keepAccess(
  calls: AuthCalls,
  desired: Access,
  enabled: boolean,
): Promise<string[]> {
  const actions = accessActions(await accessFacts(calls, desired, enabled), desired);
  for (const action of actions) {
    await perform(calls, action);
  }
  return actions.map(inWords);
}

async function accessFacts(
  { auth, bounded }: AuthCalls,
  desired: Access,
  enabled: boolean,
): Promise<AccessFacts> {
  if (!desired.enabled) {
    return { enabled, users: new Map(), roles: new Map() };
  }
  const users = new Map<string, readonly string[]>();
  for (const name of (await auth.userList(bounded())).users) {
    users.set(name, (await auth.userGet({ name }, bounded())).roles);
  }
  const roles = new Map<string, readonly Permission[]>();
  for (const role of (await auth.roleList(bounded())).roles) {
    const { perm } = await auth.roleGet({ role }, bounded());
    roles.set(role, perm.map(permissionOf));
  }
  return { enabled, users, roles };
}

function permissionOf(perm: {
  readonly permType: unknown;
  readonly key: Buffer;
  readonly range_end: Buffer;
}): Permission {
  const access = accesses[String(perm.permType)];
  if (access === undefined) {
    throw new Error(`etcd has a right that is not known here: ${String(perm.permType)}`);
  }
  return { key: perm.key.toString("hex"), end: perm.range_end.toString("hex"), access };
}

async function perform({ auth, bounded }: AuthCalls, action: AccessAction): Promise<void> {
  const bytes = (digits: string): Buffer => Buffer.from(digits, "hex");
  switch (action.kind) {
    case "enable":
      await auth.authEnable(bounded());
      return;
    case "disable":
      await auth.authDisable(bounded());
      return;
    case "addUser":
      await auth.userAdd(
        // Nobody has a password: a user is who holds the certificate. (The library's types are older than the field.)
        { name: action.user, options: { no_password: true } },
        bounded(),
      );
      return;
    case "deleteUser":
      await auth.userDelete({ name: action.user }, bounded());
      return;
    case "addRole":
      await auth.roleAdd({ name: action.role }, bounded());
      return;
    case "deleteRole":
      await auth.roleDelete({ role: action.role }, bounded());
      return;
    case "grantRole":
      await auth.userGrantRole({ user: action.user, role: action.role }, bounded());
      return;
    case "grant": {
      const { key, end, access } = action.permission;
      const perm = { permType: types[access], key: bytes(key), range_end: bytes(end) };
      await auth.roleGrantPermission({ name: action.role, perm }, bounded());
      return;
    }
    case "revoke": {
      const { key, end } = action.permission;
      const range = { key: bytes(key), range_end: bytes(end) };
      await auth.roleRevokePermission({ role: action.role, ...range }, bounded());
    }
  }
}

function inWords(action: AccessAction): string {
  switch (action.kind) {
    case "enable":
    case "disable":
      return `access control: ${action.kind}d`;
    case "addUser":
    case "deleteUser":
      return `${action.kind} ${action.user}`;
    case "addRole":
    case "deleteRole":
      return `${action.kind} ${action.role}`;
    case "grantRole":
      return `${action.user} has the role ${action.role}`;
    case "grant":
    case "revoke":
      return `${action.kind} ${action.role} ${action.permission.access} from ${action.permission.key}`;
  }
}
