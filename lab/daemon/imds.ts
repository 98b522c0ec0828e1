import { randomBytes } from "node:crypto";
import type { Answer, RawRequest } from "../front/call.ts";
import { listing, lookUp, metadataTree, type InstanceFacts } from "./metadata.ts";
import type { TemporaryCredentials } from "../front/credentials.ts";

/** What the metadata service asks the daemon. */
export interface ImdsParts {
  /** Whose address this is in a VPC, or undefined when no instance has it. */
  readonly identify: (
    address: string,
    vpcId: string | undefined,
  ) => Promise<InstanceFacts | undefined>;
  /** User data of an instance, decoded. */
  readonly userData: (facts: InstanceFacts) => Promise<Buffer | undefined>;
  /** Credentials of the instance's role. */
  readonly credentials: (facts: InstanceFacts, roleName: string) => TemporaryCredentials;
  readonly now?: () => number;
}

/** Longest life of a token, and its bounds on AWS. */
const maxTokenSeconds = 21_600;

interface Token {
  readonly instanceId: string;
  readonly until: number;
}

function plain(
  status: number,
  body: string | Buffer,
  headers: Record<string, string> = {},
): Answer {
  return {
    status,
    headers: { "content-type": "text/plain", server: "EC2ws", ...headers },
    body: typeof body === "string" ? Buffer.from(body) : body,
  };
}

const reasons: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
};

function refusal(status: number): Answer {
  const reason = `${status} - ${reasons[status] ?? ""}`;
  return plain(
    status,
    `<?xml version="1.0" encoding="iso-8859-1"?>\n<html><head><title>${reason}</title></head><body><h1>${reason}</h1></body></html>\n`,
    { "content-type": "text/html" },
  );
}

/** The instance metadata service: version 2, and version 1 where an instance's options allow it. */
export class Imds {
  private readonly parts: ImdsParts;
  private readonly now: () => number;
  private readonly tokens = new Map<string, Token>();

  constructor(parts: ImdsParts) {
    this.parts = parts;
    this.now = parts.now ?? Date.now;
  }

  /** Answers a machine, which is known by its VPC and address and by nothing else. */
  async handle(request: RawRequest): Promise<Answer> {
    const address = request.sourceAddress;
    const facts =
      address === undefined ? undefined : await this.parts.identify(address, request.sourceVpc);
    if (facts === undefined) return refusal(404);
    const instanceId = facts.instance.InstanceId ?? "";
    const options = facts.instance.MetadataOptions;
    if (options?.HttpEndpoint === "disabled") return refusal(403);
    const path = new URL(request.target, "http://imds").pathname;
    if (request.method === "PUT") {
      return path.replace(/\/$/, "") === "/latest/api/token"
        ? this.token(request, instanceId)
        : refusal(405);
    }
    if (request.method !== "GET" && request.method !== "HEAD") return refusal(405);
    const given = request.headers["x-aws-ec2-metadata-token"];
    if (given === undefined) {
      if (options?.HttpTokens === "required") return refusal(401);
    } else if (!this.isValid(String(given), instanceId)) {
      return refusal(401);
    }
    return this.document(path, facts);
  }

  private token(request: RawRequest, instanceId: string): Answer {
    const text = String(request.headers["x-aws-ec2-metadata-token-ttl-seconds"] ?? "");
    const seconds = /^\d+$/.test(text) ? Number(text) : 0;
    if (seconds < 1 || seconds > maxTokenSeconds) return refusal(400);
    const now = this.now();
    for (const [token, { until }] of this.tokens) {
      if (until <= now) this.tokens.delete(token);
    }
    const token = randomBytes(42).toString("base64url");
    this.tokens.set(token, { instanceId, until: now + seconds * 1000 });
    return plain(200, token, { "x-aws-ec2-metadata-token-ttl-seconds": String(seconds) });
  }

  private isValid(token: string, instanceId: string): boolean {
    const known = this.tokens.get(token);
    return known?.instanceId === instanceId && known.until > this.now();
  }

  private async document(path: string, facts: InstanceFacts): Promise<Answer> {
    const [version = "", ...rest] = path.split("/").filter((part) => part !== "");
    if (version === "") return plain(200, "1.0\n2016-09-02\n2021-03-23\nlatest");
    if (!/^(latest|1\.0|\d{4}-\d\d-\d\d)$/.test(version)) return refusal(404);
    if (rest.length === 1 && rest[0] === "user-data") {
      const data = await this.parts.userData(facts);
      return data === undefined
        ? refusal(404)
        : plain(200, data, { "content-type": "application/octet-stream" });
    }
    const roleName = facts.roleName ?? "";
    const root = metadataTree(facts, () => this.credentials(facts, roleName));
    const found = lookUp(root, rest);
    if (found === undefined) return refusal(404);
    if (typeof found === "string") return plain(200, found);
    if (typeof found === "function") return plain(200, found());
    return plain(200, listing(found));
  }

  private credentials(facts: InstanceFacts, roleName: string): string {
    const made = this.parts.credentials(facts, roleName);
    return JSON.stringify(
      {
        Code: "Success",
        LastUpdated: new Date().toISOString().replace(/\.\d+Z$/, "Z"),
        Type: "AWS-HMAC",
        AccessKeyId: made.accessKeyId,
        SecretAccessKey: made.secretAccessKey,
        Token: made.sessionToken,
        Expiration: made.expiration.toISOString().replace(/\.\d+Z$/, "Z"),
      },
      undefined,
      2,
    );
  }
}
