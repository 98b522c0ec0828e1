import type { IncomingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";
import type { Params } from "./params.ts";

/** How a service words its requests and answers. */
export type Protocol = "ec2" | "query" | "json" | "s3" | "rest-xml";

/** Services of which the lab knows anything, by the name in the signature's scope. */
export const protocols = {
  ec2: "ec2",
  autoscaling: "query",
  elasticloadbalancing: "query",
  iam: "query",
  sts: "query",
  monitoring: "json",
  sns: "query",
  kms: "json",
  ssm: "json",
  s3: "s3",
  route53: "rest-xml",
} as const satisfies Record<string, Protocol>;

/** A service's signing name. */
export type Service = keyof typeof protocols;

/** Whether a signing name is one of the lab's services. */
export function isService(name: string): name is Service {
  return Object.hasOwn(protocols, name);
}

/** One HTTP request as it arrived, body complete. */
export interface RawRequest {
  readonly method: string;
  /** Path and query exactly as sent: the signature covers it. */
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** Whether it came through the machines' router (which ends TLS), not from the host's loopback. */
  readonly fromMachine: boolean;
  /** The machine's address, when it came through the router. */
  readonly sourceAddress?: string;
  /** The machine's VPC, when it came through the router. */
  readonly sourceVpc?: string;
}

/** Who signed. */
export type Caller =
  | { readonly kind: "admin" }
  | {
      readonly kind: "role";
      readonly roleName: string;
      readonly instanceId: string;
      readonly region: string;
    }
  /** An AWS service acting for the account: the auto scaling group that launches and ends machines. */
  | { readonly kind: "service"; readonly name: string };

/** A request understood: who asks which service for what. */
export interface Call {
  readonly caller: Caller;
  readonly service: Service;
  readonly region: string;
  readonly operation: string;
  readonly params: Params;
  readonly request: RawRequest;
}

/** An answer in HTTP terms. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly body: Buffer;
  /** The body as it comes, for objects that may be large; `body` is empty then. */
  readonly stream?: Readable;
}
