import { roll } from "../harness/roll.ts";
import { certificateRoll, ofLeaves } from "./certificates.ts";
import { membersChange } from "./flags.ts";

/** Certificates are renewed by an ordinary `pulumi up`. */
export function leafRolls(): void {
  roll(
    certificateRoll({
      name: "leaf",
      what: "all certificates are inside their renewal time: renewed for the same keys",
      change: { "etcd-cluster:certificateRenewalDays": 365 },
      preview: [
        ofLeaves("replace", "locallySignedCert:LocallySignedCert", ""),
        ...membersChange(3),
      ],
      act: async ({ stack }) => {
        await stack.apply();
        // Inside their time they would be renewed by every `up`.
        stack.set({ "etcd-cluster:certificateRenewalDays": undefined });
        await stack.apply();
      },
      expected: { certificates: "new", keys: "same" },
    }),
  );
}
