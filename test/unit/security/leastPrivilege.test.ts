import { equivalent, loosened, type PolicyMutant } from "#security/mutants";
import { questions } from "#security/questions/all";
import { Asker, type Question } from "#security/questions/question";
import { requestOf, RoleKind } from "#security/recording";
import { decide } from "#security/simulator";
import {
  inForce,
  names,
  renderedDocuments,
  scope,
  type Documents,
} from "../../support/policiesInForce";

// Hundreds of answers of the simulator, on a host that may be busy with machines.
jest.setTimeout(60_000);

const documents = renderedDocuments();
const all = Object.values(questions).flat();

/** Whether the policies say what they should. */
async function holds(question: Question, policies: Documents): Promise<boolean> {
  const request = requestOf({ ...question, role: RoleKind.member }, scope, names);
  const { allowed } = await decide(request, inForce(question.as, policies));
  return allowed === question.allowed;
}

describe("what nobody may do, and what has to stay possible", () => {
  it.each(all.map((each) => [each.allowed ? "may" : "never", each.as, each.what, each] as const))(
    "%s: %s %s",
    async (_, __, ___, question) => {
      expect(await holds(question, documents)).toBe(true);
    },
  );
});

describe("each clause is missed by a question", () => {
  const askers: Readonly<Record<keyof Documents, readonly Asker[]>> = {
    member: [Asker.member, Asker.memberAlone],
    bastion: [Asker.bastion],
    bucket: Object.values(Asker),
    key: Object.values(Asker),
  };
  const mutants = (Object.keys(askers) as (keyof Documents)[]).flatMap((which) =>
    loosened(documents[which]).map((mutant) => [which, mutant.what, mutant] as const),
  );

  /** The first question that is answered otherwise. */
  async function missedBy(
    which: keyof Documents,
    mutant: PolicyMutant,
  ): Promise<string | undefined> {
    const broken = { ...documents, [which]: mutant.document };
    for (const question of all) {
      const concerned =
        !question.allowed &&
        askers[which].includes(question.as) &&
        mutant.services.includes(question.action.split(":")[0] ?? "");
      if (concerned && !(await holds(question, broken))) return question.what;
    }
    return undefined;
  }

  it.each(mutants)("%s %s", async (which, what, mutant) => {
    const missed = await missedBy(which, mutant);
    if (equivalent.some(({ mutants: each }) => each.test(what))) expect(missed).toBeUndefined();
    else expect(missed).toEqual(expect.any(String));
  });

  it("no mutant is called equivalent that does not exist", () => {
    const idle = equivalent.filter(
      ({ mutants: each }) => !mutants.some(([, what]) => each.test(what)),
    );
    expect(idle).toEqual([]);
  });
});
