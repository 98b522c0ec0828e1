import { Params } from "./params.ts";
import type { RawRequest } from "./call.ts";
import { header, splitTarget } from "./signature.ts";

/** An S3 request understood: REST gives no operation's name, only method, place and sub-resource. */
export interface S3Request {
  readonly operation: string;
  readonly params: Params;
  /** The target in path style, which is what moto is asked with. */
  readonly pathStyleTarget: string;
}

/** Sub-resources of a bucket and the operations they stand for, by method. */
const bucketSubresources: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  policy: { GET: "GetBucketPolicy", PUT: "PutBucketPolicy", DELETE: "DeleteBucketPolicy" },
  versioning: { GET: "GetBucketVersioning", PUT: "PutBucketVersioning" },
  lifecycle: {
    GET: "GetBucketLifecycleConfiguration",
    PUT: "PutBucketLifecycleConfiguration",
    DELETE: "DeleteBucketLifecycle",
  },
  encryption: {
    GET: "GetBucketEncryption",
    PUT: "PutBucketEncryption",
    DELETE: "DeleteBucketEncryption",
  },
  publicAccessBlock: {
    GET: "GetPublicAccessBlock",
    PUT: "PutPublicAccessBlock",
    DELETE: "DeletePublicAccessBlock",
  },
  ownershipControls: {
    GET: "GetBucketOwnershipControls",
    PUT: "PutBucketOwnershipControls",
    DELETE: "DeleteBucketOwnershipControls",
  },
  tagging: { GET: "GetBucketTagging", PUT: "PutBucketTagging", DELETE: "DeleteBucketTagging" },
  location: { GET: "GetBucketLocation" },
  versions: { GET: "ListObjectVersions" },
  uploads: { GET: "ListMultipartUploads" },
  delete: { POST: "DeleteObjects" },
};

/** Sub-resources the lab knows to exist and does not have: named, so that the refusal says which. */
const unknownSubresources = [
  "accelerate",
  "acl",
  "analytics",
  "attributes",
  "cors",
  "intelligent-tiering",
  "inventory",
  "legal-hold",
  "logging",
  "metrics",
  "notification",
  "object-lock",
  "policyStatus",
  "replication",
  "requestPayment",
  "restore",
  "retention",
  "select",
  "torrent",
  "website",
] as const;

function bucketAndKey(request: RawRequest): { bucket: string; key: string; path: string } {
  const { path } = splitTarget(request.target);
  const host = (header(request, "host") ?? "").replace(/:\d+$/, "");
  const virtual = /^(.+)\.s3[.-](?:[a-z0-9-]+\.)?amazonaws\.com$/.exec(host)?.[1];
  const [bucket = "", ...rest] =
    virtual === undefined ? path.slice(1).split("/") : [virtual, ...path.slice(1).split("/")];
  const key = rest.join("/");
  return { bucket, key: decodeURIComponent(key), path: bucket === "" ? "/" : `/${bucket}/${key}` };
}

function operationOf(
  method: string,
  bucket: string,
  key: string,
  query: URLSearchParams,
  copy: boolean,
): string {
  const unknown = unknownSubresources.find((name) => query.has(name));
  if (unknown !== undefined) return `${method} ?${unknown}`;
  if (bucket === "") return method === "GET" ? "ListBuckets" : `${method} /`;
  if (key === "") {
    const sub = Object.keys(bucketSubresources).find((name) => query.has(name));
    if (sub !== undefined) return bucketSubresources[sub]?.[method] ?? `${method} ?${sub}`;
    const plain: Record<string, string> = {
      GET: query.get("list-type") === "2" ? "ListObjectsV2" : "ListObjects",
      HEAD: "HeadBucket",
      PUT: "CreateBucket",
      DELETE: "DeleteBucket",
    };
    return plain[method] ?? `${method} (bucket)`;
  }
  if (query.has("tagging")) {
    return (
      { GET: "GetObjectTagging", PUT: "PutObjectTagging", DELETE: "DeleteObjectTagging" }[method] ??
      method
    );
  }
  if (query.has("uploads") && method === "POST") return "CreateMultipartUpload";
  if (query.has("uploadId")) {
    return (
      {
        GET: "ListParts",
        PUT: "UploadPart",
        POST: "CompleteMultipartUpload",
        DELETE: "AbortMultipartUpload",
      }[method] ?? method
    );
  }
  const plain: Record<string, string> = {
    GET: "GetObject",
    HEAD: "HeadObject",
    PUT: copy ? "CopyObject" : "PutObject",
    DELETE: "DeleteObject",
  };
  return plain[method] ?? `${method} (object)`;
}

/** Understands an S3 request, path style or virtual-hosted. */
export function readS3(request: RawRequest): S3Request {
  const { bucket, key, path } = bucketAndKey(request);
  const { query } = splitTarget(request.target);
  const search = new URLSearchParams(query);
  const operation = operationOf(
    request.method,
    bucket,
    key,
    search,
    header(request, "x-amz-copy-source") !== undefined,
  );
  const values: Record<string, string> = Object.fromEntries(search);
  return {
    operation,
    params: Params.fromJson({
      ...values,
      ...(bucket === "" ? {} : { Bucket: bucket }),
      ...(key === "" ? {} : { Key: key }),
    }),
    pathStyleTarget: query === "" ? path : `${path}?${query}`,
  };
}
