import { z } from "zod";

import { authoritiesStepProblem } from "./authorities";
import { etcdStep } from "./etcdVersions";
import { sizes } from "./layout";
import type { Problem } from "./problems";

/**
 * What may follow what: rules about a change, where `validate` has those about a state. The machines enforce theirs again, from what
 * runs there; this is for whoever looks at a preview.
 */

/** What of a cluster cannot become just anything. */
export interface Shape {
  /** Version of etcd, for instance `3.6.14`. */
  readonly etcdVersion: string;
  /** Number of members. */
  readonly size: number;
  /** Size of each data volume, GiB. */
  readonly volumeSizeGiB: number;
  /** Which certificate authorities sign and are trusted, for instance `1+2`. */
  readonly certificateAuthorities: string;
  /** ARN of the key that was handed in; empty with the cluster's own. */
  readonly kmsKey: string;
}

/** What an earlier run of the program left; one before this existed left nothing. */
export const recordedShape = z.object({
  etcdVersion: z.string().optional(),
  size: z.number().optional(),
  volumeSizeGiB: z.number().optional(),
  certificateAuthorities: z.string().optional(),
  kmsKey: z.string().optional(),
});

type Recorded = z.output<typeof recordedShape>;

/** What is wrong with bringing a cluster from one shape to another; complete. */
export function transitionProblems(before: Recorded, after: Shape): Problem[] {
  return [
    ...(before.etcdVersion === undefined ? [] : version(before.etcdVersion, after.etcdVersion)),
    ...(before.size === undefined ? [] : size(before.size, after.size)),
    ...together(before, after),
    ...(before.volumeSizeGiB === undefined
      ? []
      : volumeSize(before.volumeSizeGiB, after.volumeSizeGiB)),
    ...authorities(before, after),
    ...(before.etcdVersion === undefined ? [] : kmsKey(before.kmsKey ?? "", after.kmsKey)),
  ];
}

function version(before: string, after: string): Problem[] {
  const step = etcdStep(before, after);
  return typeof step === "string" ? [] : [{ path: "etcdVersion", value: after, ...step }];
}

function size(before: number, after: number): Problem[] {
  const next = sizes.filter((each) => each < before).at(-1);
  return next === undefined || after >= next
    ? []
    : [
        {
          path: "size",
          value: after,
          rule: `a cluster of ${before} shrinks to ${next} at most in one go: those that go at once must not be enough to lose a write that the others never had`,
          remedy: `go to ${next} first, and on from there`,
        },
      ];
}

function together(before: Recorded, after: Shape): Problem[] {
  const { etcdVersion = after.etcdVersion, size = after.size } = before;
  return etcdVersion === after.etcdVersion || size === after.size
    ? []
    : [
        {
          path: "size",
          value: after.size,
          rule: `it changes from ${size} while etcd goes from ${etcdVersion} to ${after.etcdVersion}, and new members would begin with a version that others do not have yet`,
          remedy: "change one of them, run `pulumi up`, then change the other",
        },
      ];
}

function volumeSize(before: number, after: number): Problem[] {
  return after >= before
    ? []
    : [
        {
          path: "volumeSizeGiB",
          value: after,
          rule: `the volumes have ${before} GiB, and a volume of EBS cannot be made smaller`,
          remedy: `choose ${before} or more`,
        },
      ];
}

function kmsKey(before: string, after: string): Problem[] {
  return before === after
    ? []
    : [
        {
          path: "kmsKeyArn",
          value: after === "" ? undefined : after,
          rule: `the volumes are encrypted with ${before === "" ? "the cluster's own key" : before}, and a volume of EBS keeps its key: every member's would be replaced by an empty one`,
          remedy:
            before === ""
              ? "leave kmsKeyArn out, or make another cluster and bring the keys over (`etcdctl make-mirror`)"
              : `set it to ${before}, or make another cluster and bring the keys over (\`etcdctl make-mirror\`)`,
        },
      ];
}

function authorities(before: Recorded, after: Shape): Problem[] {
  if (before.etcdVersion === undefined) {
    return [];
  }
  if (before.certificateAuthorities === undefined) {
    return [
      {
        path: "certificateAuthorities",
        value: after.certificateAuthorities,
        rule: "this cluster was made when its members trusted one authority without a root over it; a member that trusts the root, and one that does not, would turn each other away",
        remedy:
          "keep the version of the program that it was made with, or make another cluster and bring the keys over (`etcdctl make-mirror`)",
      },
    ];
  }
  const problem = authoritiesStepProblem(
    before.certificateAuthorities,
    after.certificateAuthorities,
  );
  return problem === undefined ? [] : [problem];
}
