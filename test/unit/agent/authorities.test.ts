import { refuseAuthorities } from "../../../scripts/agent/authorities";
import { Refusal } from "../../../scripts/agent/deadline";
import { config } from "./config";

/** What converge refuses of an exchange of authorities whatever a preview let pass; that others still show a certificate of a dropped
 * one is asked of real etcds in test/native/certificates.test.ts. */

function wanted(authorities: string) {
  const { certificates, ...rest } = config();
  return { ...rest, certificates: { ...certificates, authorities } };
}

describe("a member's next authorities", () => {
  test.each([
    ["1", "1"],
    ["1", "1+2"],
    ["1+2", "1"],
    ["1+2", "2+1"],
    ["2+1", "1+2"],
    ["2+1", "2"],
    ["2", "2+3"],
  ])("from %s to %s", (from, to) => {
    expect(() => {
      refuseAuthorities(wanted(from), wanted(to));
    }).not.toThrow();
  });

  test.each([
    ["1", "2+1", "1+2 comes next"],
    ["1", "2", "1+2 comes next"],
    ["1+2", "2", "2+1 comes next"],
    ["2+1", "1", "only the last step can be taken back"],
    ["2", "2+1", "what was dropped is never trusted again"],
    ["2", "1", "what was dropped is never trusted again"],
    ["2", "3+2", "2+3 comes next"],
  ])("not from %s to %s", (from, to, said) => {
    const attempt = () => {
      refuseAuthorities(wanted(from), wanted(to));
    };
    expect(attempt).toThrow(Refusal);
    expect(attempt).toThrow(`m1: certificateAuthorities`);
    expect(attempt).toThrow(said);
  });
});
