import { readFileSync } from "node:fs";
import { join } from "node:path";

import { nodeVersion } from "../../../components/plan/artifacts";
import {
  defaultEtcdVersion,
  etcdStep,
  etcdVersionProblem,
} from "../../../components/plan/etcdVersions";

const root = join(__dirname, "../../..");
const page = readFileSync(join(root, "docs/upgrades.md"), "utf8");

/** `| 3.6 | 3.6.14 | 3.5.32 | …` */
const rows = [...page.matchAll(/^\| (3\.\d+) +\| (\S+) +\| (\S+) +\|/gm)].map(
  ([, minor = "", floor = "", from = ""]) => ({ minor, floor, from }),
);

const patchBefore = (version: string): string =>
  version.replace(/\d+$/, (patch) => String(Number(patch) - 1));

describe("docs/upgrades.md", () => {
  test("has a row for each minor that is run, and no other", () => {
    expect(rows.map(({ minor }) => minor)).toEqual(["3.5", "3.6", "3.7"]);
    const run = Array.from({ length: 10 }, (_, minor) => `3.${minor}`).filter(
      (minor) => etcdVersionProblem(`${minor}.99`) === undefined,
    );
    expect(run).toEqual(rows.map(({ minor }) => minor));
  });

  test.each(rows)("$minor: its floor is $floor", ({ minor, floor }) => {
    expect(floor.startsWith(`${minor}.`)).toBe(true);
    expect(etcdVersionProblem(floor)).toBeUndefined();
    expect(etcdVersionProblem(patchBefore(floor))).toBeDefined();
  });

  test.each(rows.slice(1))("$minor may come from $from", ({ floor, from }) => {
    expect(etcdStep(from, floor)).toBe("up");
    expect(etcdStep(patchBefore(from), floor)).toMatchObject({ rule: expect.anything() as string });
  });

  test("names the default, and the versions that are pinned", () => {
    const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
      dependencies: Record<string, string>;
    };
    expect(page).toContain(`the default, ${defaultEtcdVersion}`);
    expect(page).toMatch(new RegExp(`@pulumi/pulumi\` +\\| ${dependencies["@pulumi/pulumi"]} `));
    expect(page).toMatch(new RegExp(`Node on the machines +\\| ${nodeVersion} `));
  });
});
