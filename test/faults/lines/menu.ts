import assert from "node:assert/strict";
import { kinds } from "../../../lab/cli/fault/kinds.ts";
import { make, waitFor } from "../../lab/support.ts";
import { faults } from "../harness/line.ts";

/** Variables of a `make fault`, and what it must say of what it did. */
const tries: readonly (readonly [Record<string, string>, RegExp])[] = [
  [{ KIND: "process" }, /killed etcd of m\d \(process \d+\)/],
  [{ KIND: "stop", MEMBER: "leader", SECONDS: "2" }, /etcd of m\d stands still[^]*it is over/],
  [{ KIND: "zone", MEMBER: "m3", SECONDS: "2" }, /cut off eu-central-1c[^]*it is over/],
  [{ KIND: "peers", MEMBER: "m2", SECONDS: "2" }, /m2 can reach neither[^]*it is over/],
  [{ KIND: "s3", MEMBER: "all", SECONDS: "2" }, /out of reach for m1, m2, m3[^]*it is over/],
  [{ KIND: "s3", MEMBER: "m1", HOW: "refuse", SECONDS: "2" }, /S3 refuses m1[^]*it is over/],
  [{ KIND: "heal" }, /nothing is cut off any more/],
];

/** `make fault` as a person types it: each kind that is over at once says what it did, what to expect, and how to watch. */
export function menu(): void {
  faults.step("menu", async () => {
    const lab = await faults.lab();
    const fault = (variables: Record<string, string>) =>
      make("fault", { STACK: "faults", ...variables }, 60);
    const list = await fault({});
    assert.equal(list.code, 0, list.stderr);
    for (const kind of Object.keys(kinds))
      assert.match(list.stderr, new RegExp(`^  ${kind} `, "m"));
    const unknown = await fault({ KIND: "gremlin" });
    assert.notEqual(unknown.code, 0);
    assert.match(unknown.stderr, /KIND=gremlin: there is no such fault/);
    for (const [variables, said] of tries) {
      const { code, stderr } = await fault(variables);
      assert.equal(code, 0, stderr);
      assert.match(stderr, said);
      assert.match(stderr, /^expect: /m);
      assert.match(stderr, /^watch: {2}make status/m);
    }
    await waitFor("a healthy cluster after all of it", 90, async () => {
      await lab.verify();
      return true;
    });
  });
}
