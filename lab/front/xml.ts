import { randomUUID } from "node:crypto";
import type { Answer } from "./call.ts";
import { xmlAnswer, xmlText } from "./errors.ts";

/** What can be written as XML: text, nested elements, and lists, which become repeated `member` elements. */
export type XmlValue =
  | string
  | number
  | boolean
  | Date
  | undefined
  | readonly XmlValue[]
  | { readonly [name: string]: XmlValue };

/** Renders a value as the content of an element. Undefined values are left out. */
export function renderXml(value: XmlValue, listElement = "member"): string {
  if (value === undefined) return "";
  if (value instanceof Date) return value.toISOString();
  if (typeof value !== "object") return xmlText(String(value));
  if (isList(value)) {
    return value
      .map((item) => `<${listElement}>${renderXml(item, listElement)}</${listElement}>`)
      .join("");
  }
  return Object.entries(value)
    .filter(([, item]) => item !== undefined)
    .map(([name, item]) => `<${name}>${renderXml(item, listElement)}</${name}>`)
    .join("");
}

function isList(value: object): value is readonly XmlValue[] {
  return Array.isArray(value);
}

/** An answer of a query-protocol service. */
export function queryAnswer(operation: string, result: XmlValue): Answer {
  const id = randomUUID();
  return xmlAnswer(
    200,
    id,
    `<${operation}Response><${operation}Result>${renderXml(result)}</${operation}Result><ResponseMetadata><RequestId>${id}</RequestId></ResponseMetadata></${operation}Response>`,
  );
}

/** An answer of EC2, whose lists are `item` elements and which has no result element. */
export function ec2Answer(operation: string, result: XmlValue): Answer {
  const id = randomUUID();
  return xmlAnswer(
    200,
    id,
    `<${operation}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>${id}</requestId>${renderXml(result, "item")}</${operation}Response>`,
  );
}
