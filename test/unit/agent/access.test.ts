import fc from "fast-check";

import {
  accessProblems,
  administrators,
  consumerNameProblem,
  resolveAccess,
  type Access,
} from "../../../components/plan/accessControl";
import {
  accessActions,
  rangeOf,
  roleOf,
  type AccessAction,
  type AccessFacts,
  type Permission,
} from "../../../scripts/agent/access";

/** What etcd would say afterwards; refuses what etcd refuses. */
function after(facts: AccessFacts, actions: readonly AccessAction[]): AccessFacts {
  const users = new Map([...facts.users].map(([name, roles]) => [name, [...roles]]));
  const roles = new Map([...facts.roles].map(([name, perms]) => [name, [...perms]]));
  let { enabled } = facts;
  const known = <T>(map: Map<string, T>, name: string): T => {
    const found = map.get(name);
    if (found === undefined) throw new Error(`${name} is not there`);
    return found;
  };
  for (const action of actions) {
    switch (action.kind) {
      case "enable":
        if (users.get("root")?.includes("root") !== true) throw new Error("no root");
        enabled = true;
        break;
      case "disable":
        enabled = false;
        break;
      case "addUser":
        if (users.has(action.user)) throw new Error(`${action.user} is there`);
        users.set(action.user, []);
        break;
      case "deleteUser":
        known(users, action.user);
        users.delete(action.user);
        break;
      case "addRole":
        if (roles.has(action.role)) throw new Error(`${action.role} is there`);
        roles.set(action.role, []);
        break;
      case "deleteRole":
        known(roles, action.role);
        roles.delete(action.role);
        for (const [name, own] of users) {
          users.set(
            name,
            own.filter((role) => role !== action.role),
          );
        }
        break;
      case "grantRole":
        known(roles, action.role);
        known(users, action.user).push(action.role);
        break;
      case "grant":
      case "revoke": {
        const { key, end } = action.permission;
        const rest = known(roles, action.role).filter(
          (each) => each.key !== key || each.end !== end,
        );
        roles.set(action.role, action.kind === "grant" ? [...rest, action.permission] : rest);
      }
    }
  }
  return { enabled, users, roles };
}

const access = fc.constantFrom("read" as const, "write" as const, "readwrite" as const);
const name = fc.constantFrom("patroni", "reader", "vault", "m1");
const permissions = fc.uniqueArray(
  fc.record({ prefix: fc.constantFrom("", "/a/", "/b", "\u00ff"), access }),
  { selector: ({ prefix }) => prefix },
);
const desired: fc.Arbitrary<Access> = fc
  .record({ enabled: fc.boolean(), users: fc.dictionary(name, permissions) })
  .map(resolveAccess);

const permission: fc.Arbitrary<Permission> = fc.record({
  ...{ key: fc.constantFrom("00", "2f612f", "ff"), end: fc.constantFrom("00", "2f6130") },
  access,
});
const role = fc.oneof(name.map(roleOf), fc.constantFrom("root", "theirs"));
const facts: fc.Arbitrary<AccessFacts> = fc
  .record({
    enabled: fc.boolean(),
    users: fc.dictionary(
      fc.oneof(name, fc.constantFrom("root", "agent-m1", "theirs")),
      fc.uniqueArray(role),
    ),
    roles: fc.dictionary(
      role,
      fc.uniqueArray(permission, { selector: ({ key, end }) => key + end }),
    ),
  })
  .map(({ enabled, users, roles }) => ({
    enabled,
    roles: new Map(Object.entries(roles)),
    // Nobody has a role that is not there.
    users: new Map(
      Object.entries(users).map(([each, own]) => [each, own.filter((one) => one in roles)]),
    ),
  }));

describe("access control", () => {
  test("from anything to what is desired, and then nothing more", () => {
    fc.assert(
      fc.property(facts, desired, (found, wish) => {
        const done = after(found, accessActions(found, wish));
        expect(done.enabled).toBe(wish.enabled);
        expect(accessActions(done, wish)).toEqual([]);
        if (!wish.enabled) return;
        for (const each of administrators) {
          expect(done.users.get(each)).toContain("root");
        }
        for (const user of wish.users) {
          expect(done.users.get(user.name)).toContain(roleOf(user.name));
          expect(new Set(done.roles.get(roleOf(user.name)))).toEqual(
            new Set(
              user.permissions.map(({ prefix, access: right }) => ({
                ...rangeOf(prefix),
                access: right,
              })),
            ),
          );
        }
      }),
      { numRuns: 500 },
    );
  });

  test("administrators have their rights before it is turned on, and never lose them", () => {
    fc.assert(
      fc.property(facts, desired, (found, wish) => {
        const actions = accessActions(found, wish);
        const at = actions.findIndex(({ kind }) => kind === "enable");
        expect(at === -1 || at === actions.length - 1).toBe(true);
        for (const action of actions) {
          if (action.kind === "deleteUser") expect(administrators).not.toContain(action.user);
          if (action.kind === "deleteRole") expect(action.role).toMatch(/^etcd-cluster:/);
        }
      }),
    );
  });

  test.each([
    ["/service/", "2f736572766963652f", "2f7365727669636530"],
    ["a", "61", "62"],
    ["", "00", "00"],
    // No character ends in the byte ff, but the last one of a longer one may be bf.
    ["\u00ff", "c3bf", "c3c0"],
  ])("all keys that begin with %j", (prefix, key, end) => {
    expect(rangeOf(prefix)).toEqual({ key, end });
  });

  test.each(["root", "operator", "agent-m1", "agent-m12", "", "-a", "a b", "a".repeat(64)])(
    "%j is no consumer's name",
    (wrong) => {
      expect(consumerNameProblem(wrong)).toBeDefined();
      expect(
        accessProblems(resolveAccess({ users: { [wrong]: [] } })).map(({ path }) => path),
      ).toEqual([`accessControl.users[${JSON.stringify(wrong)}]`]);
    },
  );

  test("the same prefix twice", () => {
    const twice = [
      { prefix: "/a", access: "read" as const },
      { prefix: "/a", access: "write" as const },
    ];
    expect(accessProblems(resolveAccess({ users: { patroni: twice } }))).toHaveLength(1);
  });
});
