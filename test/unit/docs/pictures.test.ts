import { join } from "node:path";

import { firewall } from "../../../components/plan/firewall";
import { readPage } from "../../support/markdown";

const root = join(__dirname, "../../..");

/** Arrows of a flowchart: `a & b -->|label| c`, one each. */
function arrows(picture: string): { from: string; to: string; label: string }[] {
  return picture.split("\n").flatMap((line) => {
    const parts = /^ *([\w &]+?) (<?)-->(?:\|([^|]*)\|)? ([\w &]+)$/.exec(line);
    if (parts === null) return [];
    const [, left = "", both, label = "", right = ""] = parts;
    return left
      .split(" & ")
      .flatMap((from) =>
        right
          .split(" & ")
          .flatMap((to) => [
            { from, to, label },
            ...(both === "<" ? [{ from: to, to: from, label }] : []),
          ]),
      );
  });
}

const pictures = ["docs/architecture.md", "docs/lab.md"].flatMap((path) =>
  readPage(root, path).blocks.filter(({ language }) => language === "mermaid"),
);
const charts = pictures.filter(({ text }) => text.startsWith("flowchart"));
const [aws] = charts;

test("AWS, the boot path, the lab", () => {
  expect(pictures.map(({ text }) => text.split("\n")[0])).toEqual([
    "flowchart LR",
    "sequenceDiagram",
    "flowchart LR",
  ]);
});

test.each(charts.map(({ text }) => [text]))(
  "every arrow is between things that are named",
  (text) => {
    const named = [...text.matchAll(/^ *(?:subgraph )?(\w+)(?:\[|\()/gm)].map(([, name]) => name);
    const drawn = arrows(text);
    expect(
      text.split("\n").filter((line) => line.includes("-->") && arrows(line).length === 0),
    ).toEqual([]);
    expect(
      drawn.flatMap(({ from, to }) => [from, to]).filter((name) => !named.includes(name)),
    ).toEqual([]);
  },
);

test("the picture of AWS has every connection of the firewall's table, and no other port", () => {
  const rules = firewall({ adminCidrs: ["198.51.100.0/24"], clientCidrs: [], closed: false });
  const groupOf = (node: string): string =>
    /^m\d$/.test(node)
      ? "members"
      : node === "operators"
        ? "adminCidrs"
        : ["bucket", "nat", "apis"].includes(node)
          ? "aws"
          : node;
  const drawn = new Set(
    arrows(aws?.text ?? "")
      .filter(({ from }) => from !== "nat")
      .flatMap(({ from, to, label }) =>
        (label.match(/\b\d{2,4}\b/g) ?? []).map(
          (port) => `${groupOf(from)} ${groupOf(to)} ${port}`,
        ),
      ),
  );
  const ruled = new Set(
    rules.map(({ group, direction, port, peer }) => {
      const other =
        peer.kind === "group" ? peer.group : direction === "ingress" ? "adminCidrs" : "aws";
      const [from, to] = direction === "egress" ? [group, other] : [other, group];
      return `${from} ${to} ${port}`;
    }),
  );
  expect([...drawn].sort()).toEqual([...ruled].sort());
});
