import type { Attestation, Holding } from "../../scripts/agent/attestation";
import type { Action, Facts } from "../../scripts/agent/facts";
import type { Disk } from "../../scripts/agent/marker";
import type { ClusterRecord } from "../../scripts/agent/record";
import type { ResizeFacts } from "../../scripts/agent/resize";
import { realRules, type Order, type Rules } from "./rules";

/** Ways to break the rules: other facts than the true ones, other decisions, another order of the effects. */

/** Effects that do not keep one of their promises. */
export const order = (changes: Partial<Order>): Rules => ({
  ...realRules,
  order: { ...realRules.order, ...changes },
});

/** The agent decides on other facts than the true ones. */
export const believing = (
  change: (facts: Facts) => Facts,
  changes: Partial<Order> = {},
): Rules => ({
  ...order(changes),
  plan: (facts) => realRules.plan(change(facts)),
});

export const deciding = (change: (action: Action, facts: Facts) => Action): Rules => ({
  ...realRules,
  plan: (facts) => change(realRules.plan(facts), facts),
});

/** The record changes in other ways. */
export const changing = (changes: Partial<Rules["transitions"]>): Rules => ({
  ...realRules,
  transitions: { ...realRules.transitions, ...changes },
});

/** With another record, where there is one. */
export function withRecord(facts: Facts, change: (record: ClusterRecord) => ClusterRecord): Facts {
  return facts.record.kind === "present"
    ? { ...facts, record: { ...facts.record, record: change(facts.record.record) } }
    : facts;
}

export function withData(
  facts: Facts,
  change: (data: Extract<Disk, { kind: "data" }>) => Disk,
): Facts {
  return facts.disk.kind === "data" ? { ...facts, disk: change(facts.disk) } : facts;
}

/** With other things said of every copy of the data that was attested. */
export function withHoldings(
  facts: Facts,
  change: (holding: Holding, attestation: Attestation, facts: Facts) => Holding,
): Facts {
  const changed = (list: readonly Attestation[]): Attestation[] =>
    list.map((each) => ({
      ...each,
      ...(each.data === undefined ? {} : { data: change(each.data, each, facts) }),
      setAside: each.setAside.map((holding) => change(holding, each, facts)),
    }));
  const { roll } = facts;
  return {
    ...facts,
    roll: {
      ...roll,
      attestations: changed(roll.attestations),
      previous: changed(roll.previous),
    },
  };
}

export function phaseOf({ record }: Facts): string {
  return record.kind === "present" ? record.record.phase : record.kind;
}

function blankAttestation(facts: Facts, member: string): Attestation {
  const record = facts.record.kind === "present" ? facts.record.record : undefined;
  return {
    schema: 1,
    clusterUid: record?.clusterUid ?? "",
    epoch: record?.epoch ?? 0,
    member,
    instanceId: "",
    volumeId: record?.roster.find(({ name }) => name === member)?.volumeId ?? "",
    setAside: [],
  };
}

/** Everybody of the roster who has not spoken is taken for blank. */
export function hearing(facts: Facts): Facts {
  const roster = facts.record.kind === "present" ? facts.record.record.roster : [];
  const { attestations } = facts.roll;
  const silent = roster.filter(
    ({ name }) => name !== facts.self.member && !attestations.some(({ member }) => member === name),
  );
  return phaseOf(facts) === "rollCall" && attestations.length > 0
    ? {
        ...facts,
        roll: {
          ...facts.roll,
          attestations: [
            ...attestations,
            ...silent.map(({ name }) => blankAttestation(facts, name)),
          ],
        },
      }
    : facts;
}

export function reported(facts: Facts): Facts {
  const record = facts.record.kind === "present" ? facts.record.record : undefined;
  const { reports } = facts.roll;
  const silent = (record?.roster ?? []).filter(
    ({ name }) =>
      name !== facts.self.member &&
      !reports.some(({ member, epoch }) => member === name && epoch === record?.epoch),
  );
  return {
    ...facts,
    roll: {
      ...facts.roll,
      reports: [
        ...reports,
        ...silent.map(({ name }) => ({
          ...blankAttestation(facts, name),
          holds: "blank" as const,
        })),
      ],
    },
  };
}

export const resizing = (change: (facts: ResizeFacts) => ResizeFacts): Rules => ({
  ...realRules,
  resizeStep: (facts) => realRules.resizeStep(change(facts)),
});
