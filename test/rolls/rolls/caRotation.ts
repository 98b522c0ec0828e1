import assert from "node:assert/strict";
import { roll, rolls, untilAllWell } from "../harness/roll.ts";
import { certificateRoll, ofLeaves, shownBy } from "./certificates.ts";
import { membersChange } from "./flags.ts";

const setting = "etcd-cluster:certificateAuthorities";

/** The authorities that follow: one alone is joined by the next, and of two the other one signs. */
function next(value: unknown): string {
  const [signer = "", other] = (typeof value === "string" ? value : "1").split("+");
  return other === undefined ? `${signer}+${Number(signer) + 1}` : `${other}+${signer}`;
}

/** An authority is exchanged for another in three steps; each step's clients have what the one before told them. */
export function caRolls(): void {
  roll(
    certificateRoll({
      name: "ca-trust",
      what: "a second authority: clients are told to trust both",
      change: { [setting]: "1+2" },
      preview: [
        ofLeaves("create", "privateKey:PrivateKey", "@2"),
        { op: "create", resource: /^tls:\S+ etcd-tls-(client|peer)-ca-2$/, count: 7 },
        { op: "create", resource: /^aws:ssm\/\S+ etcd-m\d-(server|peer|agent)-key-2$/, count: 9 },
        ...membersChange(3),
      ],
      expected: { certificates: "same", keys: "same" },
    }),
  );
  roll(
    certificateRoll({
      name: "ca-reissue",
      what: "the second authority signs: all members have other keys and certificates",
      change: { [setting]: "2+1" },
      preview: [
        ofLeaves("create", "certRequest:CertRequest", "@2"),
        ofLeaves("create", "locallySignedCert:LocallySignedCert", "@2"),
        ofLeaves("delete", "certRequest:CertRequest", ""),
        ofLeaves("delete", "locallySignedCert:LocallySignedCert", ""),
        ...membersChange(3),
      ],
      expected: { certificates: "new", keys: "new" },
      look: async (_, after) => {
        for (const { certificates } of after.values()) {
          for (const text of Object.values(certificates)) assert.match(text, /CA 2$/);
        }
        return Promise.resolve();
      },
    }),
  );
  roll(
    certificateRoll({
      name: "ca-drop",
      what: "the first authority is dropped: what it has signed is turned away",
      change: { [setting]: "2" },
      preview: [
        ofLeaves("delete", "privateKey:PrivateKey", ""),
        { op: "delete", resource: /^tls:\S+ etcd-tls-client-ca$/, count: 1 },
        { op: "delete", resource: /^aws:ssm\/\S+ etcd-m\d-(server|peer|agent)-key$/, count: 9 },
        ...membersChange(3),
      ],
      expected: { certificates: "same", keys: "same" },
    }),
  );
  const anySuffix = String.raw`(@\d+)?`;
  roll(
    certificateRoll({
      name: "ca-killed",
      what: "`pulumi up` is killed when one member shows the next authority and the others the one before; the next `up` finishes",
      given: (now) => ({ [setting]: next(now[setting]) }),
      change: ({ stack }) => ({ [setting]: next(stack.settings[setting]) }),
      preview: [
        ...["certRequest:CertRequest", "locallySignedCert:LocallySignedCert"].flatMap((type) => [
          ofLeaves("create", type, anySuffix),
          ofLeaves("delete", type, anySuffix),
        ]),
        ...membersChange(3),
      ],
      act: async (stage) => {
        const { stack, note } = stage;
        const before = await shownBy(stage, "m1");
        const up = stack.start();
        await up.until("m1 to show another certificate", 600, async () => {
          const now = await shownBy(stage, "m1");
          return now.certificates["server"] !== before.certificates["server"];
        });
        await up.kill();
        note("recovered", (await stack.recover()).trim().split("\n").at(-1) ?? "");
        await untilAllWell(stage);
        await stack.apply();
      },
      expected: { certificates: "new", keys: "new" },
    }),
  );
  rolls.step("ca-refused", async () => {
    const stack = await rolls.lab();
    const now = stack.settings[setting];
    for (const [wrong, said] of [
      ["2+1", /never trusted again/],
      ["3", /2\+3 comes next/],
      ["3+2", /2\+3 comes next/],
    ] as const) {
      stack.set({ [setting]: wrong });
      assert.match(await stack.refusedPreview(), said);
    }
    stack.set({ [setting]: now });
    assert.deepEqual(await stack.preview(), []);
  });
}
