import {
  altered,
  at,
  each,
  ofType,
  without,
  type Control,
  type Findings,
  type Resource,
} from "#security/controls/control";
import { says, type, type Declared } from "#security/controls/declared";
import { type PolicyDocument } from "#security/simulator";

/** The bucket's policy without a statement. */
function bucketPolicyWithout(sid: string) {
  return (resources: Declared): Declared => {
    const policy = ofType(resources, type.bucketPolicy)[0];
    const document = JSON.parse(String(policy?.inputs["policy"])) as PolicyDocument;
    const Statement = document.Statement.filter((statement) => statement.Sid !== sid);
    return altered(
      type.bucketPolicy,
      "policy",
      JSON.stringify({ ...document, Statement }),
    )(resources);
  };
}

function bucketDenies(resources: Declared, sid: string): Findings {
  const findings = ofType(resources, type.bucketPolicy).map(({ inputs }) => {
    const { Statement } = JSON.parse(String(inputs["policy"])) as PolicyDocument;
    return Statement.some((statement) => statement.Sid === sid && statement.Effect === "Deny");
  });
  return findings.length === 1 && findings[0] === true ? [] : [`the bucket does not deny: ${sid}`];
}

/** The bucket. */
export const bucket: readonly Control<Declared>[] = [
  {
    id: "bucket-tls-only",
    what: "the bucket refuses everybody who comes without TLS",
    sources: ["S3.5", "CT.S3.PR.8"],
    check: (resources) => bucketDenies(resources, "TlsOnly"),
    mutants: {
      "that denial left out": bucketPolicyWithout("TlsOnly"),
      "no policy": without(type.bucketPolicy),
    },
  },
  {
    id: "bucket-no-public-access",
    what: "public access to the bucket is blocked in all four ways, and access lists do not count",
    sources: ["S3.1", "S3.8", "CT.S3.PR.1"],
    check: (resources) => [
      ...each(
        resources,
        [type.bucketAccess],
        Object.fromEntries(
          ["blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"].map(
            (name) => [name, (one: Resource) => one.inputs[name] === true],
          ),
        ),
      ),
      ...each(resources, [type.bucketOwnership], {
        "the owner's": (one) => says(one, "rule.objectOwnership") === "BucketOwnerEnforced",
      }),
    ],
    mutants: {
      "one of four": altered(type.bucketAccess, "restrictPublicBuckets", false),
      "access lists": altered(type.bucketOwnership, "rule.objectOwnership", "ObjectWriter"),
      "none at all": without(type.bucketAccess),
    },
  },
  {
    id: "bucket-versioned",
    what: "what is overwritten or deleted in the bucket stays as a version",
    sources: ["S3.14", "CT.S3.PR.3"],
    check: (resources) =>
      each(resources, [type.bucketVersioning], {
        enabled: (one) => says(one, "versioningConfiguration.status") === "Enabled",
      }),
    mutants: {
      suspended: altered(type.bucketVersioning, "versioningConfiguration.status", "Suspended"),
    },
  },
  {
    id: "control-never-deleted",
    what: "nobody at all deletes under control/, or writes there without saying what he replaces",
    sources: ["DESIGN 3", "RECOVERY"],
    check: (resources) => [
      ...bucketDenies(resources, "NothingUnderControlIsDeleted"),
      ...bucketDenies(resources, "WritesUnderControlAreConditional"),
      ...each(resources, [type.lifecycle], {
        "for backups only": (one) =>
          ((one.inputs["rules"] ?? []) as unknown[]).every((rule) =>
            [at(rule, "filter.prefix"), at(rule, "filter.and.prefix")].includes("backups/"),
          ),
      }),
    ],
    mutants: {
      "deletions allowed": bucketPolicyWithout("NothingUnderControlIsDeleted"),
      "blind writes allowed": bucketPolicyWithout("WritesUnderControlAreConditional"),
      "a lifecycle for all": altered(type.lifecycle, "rules.0.filter", {}),
    },
  },
];
