import { join } from "node:path";

import { Asker } from "#security/questions/question";
import {
  distinct,
  kindsOf,
  readCalls,
  recordedKinds,
  requestOf,
  RoleKind,
  scopeOf,
  type CallKind,
  type RecordedCall,
} from "#security/recording";
import { decide } from "#security/simulator";
import { unused, type AllowedCall } from "#security/usage";
import { inForce, names, renderedDocuments, scope } from "../../support/policiesInForce";

// Hundreds of answers of the simulator, on a host that may be busy with machines.
jest.setTimeout(60_000);

/**
 * What machines asked for in the lab, about the policies as they are now; with CALLS=calls.jsonl, what they asked for in that run as
 * well.
 */
const golden = recordedKinds.read(join(__dirname, "../../security/golden/calls.json"));
const file = process.env["CALLS"];
const kinds = file === undefined ? golden : distinct([...golden, ...kindsOfFile(file)]);

function kindsOfFile(path: string): CallKind[] {
  const calls = readCalls(path);
  return kindsOf(calls, scopeOf(calls));
}

const documents = renderedDocuments();

const allowed = async (role: RoleKind): Promise<AllowedCall[]> => {
  const policies = inForce(role === RoleKind.member ? Asker.member : Asker.bastion, documents);
  const calls: AllowedCall[] = [];
  for (const kind of kinds.filter((each) => each.role === role)) {
    const request = requestOf(kind, scope, names);
    // What bucket or key deny is not allowed, whatever the role says.
    const { allowed: whole, allowedBy } = await decide(request, policies);
    calls.push({ request, allowedBy: whole ? allowedBy : [] });
  }
  return calls;
};

describe.each(Object.values(RoleKind))("the role of a %s", (role) => {
  let calls: AllowedCall[] = [];
  beforeAll(async () => {
    calls = await allowed(role);
  });

  it("allows everything that such machines asked for in the lab", () => {
    const refused = calls.filter(({ allowedBy }) => allowedBy.length === 0);
    expect(refused.map(({ request }) => request)).toEqual([]);
  });

  it("allows nothing that they did not ask for", () => {
    expect(unused(documents[role], calls)).toEqual([]);
  });
});

describe("a record of calls", () => {
  const call = (role: string, ...resources: string[]): RecordedCall => ({
    caller: `role/${role}/i-0123456789abcdef0`,
    service: "s3",
    operation: "GetObject",
    status: 200,
    needs: resources.map((resource) => ({ action: "s3:GetObject", resource, context: {} })),
  });
  const key = "arn:aws:kms:eu-central-1:123456789012:key/k1";
  const calls = [
    call("etcd-x-m2-eu-central-1", "arn:aws:s3:::etcd-x-b/backups/m1/g1.db", key),
    call("etcd-x-bastion-eu-central-1", key),
    { ...call("etcd-x-m1-eu-central-1", key), caller: "admin" },
  ];
  const where = {
    ...{ accountId: "123456789012", region: "eu-central-1", cluster: "etcd-x" },
    ...{ bucket: "etcd-x-b", keyId: "k1" },
  };

  it("says of which cluster it is, and one of two clusters is refused", () => {
    expect(scopeOf(calls)).toEqual(where);
    const other = call("etcd-y-m1-eu-central-1", key);
    expect(() => scopeOf([...calls, other])).toThrow(/2 different clusters: etcd-x, etcd-y/);
  });

  it("has each kind once, in the names of nobody; calls of people and refused ones do not count", () => {
    const refused = {
      ...call("etcd-x-m3-eu-central-1", "arn:aws:s3:::etcd-x-b/control/x"),
      error: "AccessDenied: no",
    };
    const found = kindsOf([...calls, ...calls, refused], where).map(
      ({ role, resource }) => `${role} ${resource}`,
    );
    expect(found).toEqual([
      "bastion arn:aws:kms:{region}:{account}:key/{key}",
      "member arn:aws:kms:{region}:{account}:key/{key}",
      "member arn:aws:s3:::{bucket}/backups/{other}/{name}",
    ]);
  });
});
