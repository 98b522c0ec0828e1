import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import fc from "fast-check";

import { revocationList } from "../../../scripts/agent/revocation";

const folder = mkdtempSync(join(tmpdir(), "revoked-"));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** What openssl, which is not ours, reads in a list. */
function read(der: Buffer): string[] {
  const file = join(folder, "list.crl");
  writeFileSync(file, der);
  const text = execFileSync("openssl", ["crl", "-inform", "DER", "-in", file, "-noout", "-text"], {
    encoding: "utf8",
  });
  return [...text.matchAll(/Serial Number: ([0-9A-F]+)/g)].map(([, serial = ""]) => serial);
}

const serial = fc
  .bigInt({ min: 1n, max: 2n ** 159n })
  .map((value) => value.toString(16).toUpperCase());

describe("a revocation list", () => {
  test("none", () => {
    expect(read(revocationList([]))).toEqual([]);
  });

  test("openssl reads the serials that were written", () => {
    fc.assert(
      fc.property(fc.uniqueArray(serial, { maxLength: 40 }), (serials) => {
        const even = serials.map((each) => (each.length % 2 === 0 ? each : `0${each}`));
        expect(read(revocationList(serials)).sort()).toEqual(even.sort());
      }),
      { numRuns: 25 },
    );
  });

  test("the same bytes for the same serials, in whatever order and case", () => {
    fc.assert(
      fc.property(fc.array(serial, { maxLength: 10 }), (serials) => {
        const again = [...serials, ...serials].reverse().map((each) => each.toLowerCase());
        expect(revocationList(again)).toEqual(revocationList(serials));
      }),
    );
  });

  test.each(["", "0", "00", "xyz", "12 34"])("%j is no serial number", (wrong) => {
    expect(() => revocationList([wrong])).toThrow("is no serial number");
  });
});
