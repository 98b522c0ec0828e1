import { Asker, may, never, type Context, type Question } from "#security/questions/question";

const { member, memberAlone, bastion, administrator, stranger } = Asker;

const object = (key: string): string => `arn:aws:s3:::{bucket}/${key}`;
const bucket = "arn:aws:s3:::{bucket}";
const asIs: Context = { "s3:if-match": "{etag}", "s3:ObjectCreationOperation": "true" };
const asNew: Context = { "s3:if-none-match": "*", "s3:ObjectCreationOperation": "true" };
const blindly: Context = { "s3:ObjectCreationOperation": "true" };
const tag = (name: string, value: string): Context => ({
  [`s3:RequestObjectTag/${name}`]: value,
  "s3:RequestObjectTagKeys": [name],
});
const expire = "etcd-cluster:expire";

/** Objects in the bucket, and the bucket. */
export const objects: readonly Question[] = [
  may(
    member,
    "read another member's backups: recovery begins with the newest of all",
    `s3:GetObject ${object("backups/{other}/{name}")}`,
  ),
  never(
    member,
    "write another member's backups",
    `s3:PutObject ${object("backups/{other}/{name}")}`,
    asNew,
  ),
  never(
    member,
    "replace a backup of its own",
    `s3:PutObject ${object("backups/{self}/{name}")}`,
    asIs,
  ),
  never(
    member,
    "write a backup of its own without saying that it is new",
    `s3:PutObject ${object("backups/{self}/{name}")}`,
    blindly,
  ),
  never(member, "delete a backup of its own", `s3:DeleteObject ${object("backups/{self}/{name}")}`),
  never(
    member,
    "delete a version of a backup",
    `s3:DeleteObjectVersion ${object("backups/{self}/{name}")}`,
  ),
  never(member, "delete the cluster record", `s3:DeleteObject ${object("control/cluster.json")}`),
  never(member, "delete an artifact", `s3:DeleteObject ${object("artifacts/{sha256}")}`),
  never(
    member,
    "let another member's backup expire",
    `s3:PutObjectTagging ${object("backups/{other}/{name}")}`,
    tag(expire, "yes"),
  ),
  never(
    member,
    "tag a backup otherwise",
    `s3:PutObjectTagging ${object("backups/{self}/{name}")}`,
    tag("owner", "me"),
  ),
  never(
    member,
    "tag a backup with another value",
    `s3:PutObjectTagging ${object("backups/{self}/{name}")}`,
    tag(expire, "no"),
  ),
  never(
    member,
    "tag a backup with more",
    `s3:PutObjectTagging ${object("backups/{self}/{name}")}`,
    {
      ...tag(expire, "yes"),
      "s3:RequestObjectTag/owner": "me",
      "s3:RequestObjectTagKeys": [expire, "owner"],
    },
  ),
  never(
    member,
    "let the cluster record expire",
    `s3:PutObjectTagging ${object("control/cluster.json")}`,
    tag(expire, "yes"),
  ),
  never(
    member,
    "write the cluster record blindly",
    `s3:PutObject ${object("control/cluster.json")}`,
    blindly,
  ),
  never(
    member,
    "write a report blindly",
    `s3:PutObject ${object("control/reports/{self}.json")}`,
    blindly,
  ),
  never(
    member,
    "report for another member",
    `s3:PutObject ${object("control/reports/{other}.json")}`,
    asIs,
  ),
  never(
    member,
    "attest for another member",
    `s3:PutObject ${object("control/attestations/{epoch}/{other}.json")}`,
    asNew,
  ),
  never(
    member,
    "change what it attested",
    `s3:PutObject ${object("control/attestations/{epoch}/{self}.json")}`,
    asIs,
  ),
  never(member, "change a source", `s3:PutObject ${object("control/sources/{sha256}")}`, asIs),
  never(
    member,
    "write anything else under control/",
    `s3:PutObject ${object("control/other.json")}`,
    asNew,
  ),
  never(member, "write an artifact", `s3:PutObject ${object("artifacts/{sha256}")}`, asNew),
  never(
    member,
    "move another member's approved pointer",
    `s3:PutObject ${object("config/{other}/approved")}`,
    blindly,
  ),
  never(
    member,
    "write a desired state",
    `s3:PutObject ${object("config/{self}/{sha256}.json")}`,
    asNew,
  ),
  never(
    member,
    "read another member's desired state",
    `s3:GetObject ${object("config/{other}/{sha256}.json")}`,
  ),
  never(
    member,
    "read what is no desired state of its own",
    `s3:GetObject ${object("config/{self}/other")}`,
  ),
  never(
    memberAlone,
    "write the cluster record blindly",
    `s3:PutObject ${object("control/cluster.json")}`,
    blindly,
  ),
  never(member, "read what is in no place of its own", `s3:GetObject ${object("other")}`),
  never(
    member,
    "read an object of another bucket",
    "s3:GetObject arn:aws:s3:::{bucket}2/artifacts/{sha256}",
  ),
  never(member, "list another bucket", "s3:ListBucket arn:aws:s3:::{bucket}2"),
  never(member, "list versions beyond control/", `s3:ListBucketVersions ${bucket}`, {
    "s3:prefix": "backups/",
  }),
  never(member, "list versions of another bucket", "s3:ListBucketVersions arn:aws:s3:::{bucket}2", {
    "s3:prefix": "control/cluster.json",
  }),
  never(member, "read without TLS", `s3:GetObject ${object("artifacts/{sha256}")}`, {
    "aws:SecureTransport": "false",
  }),
  never(member, "list without TLS", `s3:ListBucket ${bucket}`, { "aws:SecureTransport": "false" }),
  never(member, "change the bucket's policy", `s3:PutBucketPolicy ${bucket}`),
  never(member, "change the bucket's lifecycle", `s3:PutLifecycleConfiguration ${bucket}`),
  never(member, "end versioning", `s3:PutBucketVersioning ${bucket}`),
  never(bastion, "read an object", `s3:GetObject ${object("artifacts/{sha256}")}`),
  never(bastion, "list the bucket", `s3:ListBucket ${bucket}`),
  never(
    administrator,
    "delete the cluster record",
    `s3:DeleteObject ${object("control/cluster.json")}`,
  ),
  never(
    administrator,
    "delete a version of the cluster record",
    `s3:DeleteObjectVersion ${object("control/cluster.json")}`,
  ),
  never(
    administrator,
    "write the cluster record blindly",
    `s3:PutObject ${object("control/cluster.json")}`,
    blindly,
  ),
  never(administrator, "write without TLS", `s3:PutObject ${object("backups/{self}/{name}")}`, {
    ...asNew,
    "aws:SecureTransport": "false",
  }),
  may(
    administrator,
    "delete a superseded artifact",
    `s3:DeleteObject ${object("artifacts/{sha256}")}`,
  ),
  may(
    administrator,
    "upload a part under control/: only its completion can bear a condition",
    `s3:PutObject ${object("control/sources/{sha256}")}`,
    { "s3:ObjectCreationOperation": "false" },
  ),
  may(
    administrator,
    "write the cluster record as read",
    `s3:PutObject ${object("control/cluster.json")}`,
    asIs,
  ),
  may(
    administrator,
    "create under control/",
    `s3:PutObject ${object("control/sources/{sha256}")}`,
    asNew,
  ),
  never(stranger, "read an object", `s3:GetObject ${object("artifacts/{sha256}")}`),
];
