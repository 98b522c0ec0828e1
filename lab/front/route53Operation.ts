import { XMLParser } from "fast-xml-parser";
import type { RawRequest } from "./call.ts";
import { Params } from "./params.ts";
import { splitTarget } from "./signature.ts";

/** Method and path of each Route 53 operation the lab knows. */
const routes: readonly (readonly [method: string, path: RegExp, operation: string])[] = [
  ["POST", /^\/hostedzone\/?$/, "CreateHostedZone"],
  ["GET", /^\/hostedzone\/?$/, "ListHostedZones"],
  ["GET", /^\/hostedzonesbyname\/?$/, "ListHostedZonesByName"],
  ["GET", /^\/hostedzonesbyvpc\/?$/, "ListHostedZonesByVPC"],
  ["GET", /^\/hostedzone\/([^/]+)$/, "GetHostedZone"],
  ["POST", /^\/hostedzone\/([^/]+)$/, "UpdateHostedZoneComment"],
  ["DELETE", /^\/hostedzone\/([^/]+)$/, "DeleteHostedZone"],
  ["POST", /^\/hostedzone\/([^/]+)\/rrset\/?$/, "ChangeResourceRecordSets"],
  ["GET", /^\/hostedzone\/([^/]+)\/rrset\/?$/, "ListResourceRecordSets"],
  ["POST", /^\/hostedzone\/([^/]+)\/associatevpc\/?$/, "AssociateVPCWithHostedZone"],
  ["POST", /^\/hostedzone\/([^/]+)\/disassociatevpc\/?$/, "DisassociateVPCFromHostedZone"],
  ["GET", /^\/change\/([^/]+)$/, "GetChange"],
  ["GET", /^\/tags\/hostedzone\/([^/]+)$/, "ListTagsForResource"],
  ["POST", /^\/tags\/hostedzone\/([^/]+)$/, "ChangeTagsForResource"],
];

/** Understands a Route 53 request: REST paths below the API's version, XML bodies. */
export function readRoute53(request: RawRequest): { operation: string; params: Params } {
  const { path, query } = splitTarget(request.target);
  const place = path.replace(/^\/2013-04-01/, "");
  const body =
    request.body.length === 0
      ? {}
      : (new XMLParser({ parseTagValue: false }).parse(request.body) as Record<string, unknown>);
  for (const [method, pattern, operation] of routes) {
    const match = request.method === method ? pattern.exec(place) : null;
    if (match !== null) {
      return {
        operation,
        params: Params.fromJson({
          ...Object.fromEntries(new URLSearchParams(query)),
          ...body,
          ...(match[1] === undefined ? {} : { Id: decodeURIComponent(match[1]) }),
        }),
      };
    }
  }
  return { operation: `${request.method} ${place}`, params: Params.fromForm(query) };
}
