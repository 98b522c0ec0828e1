import { setTimeout as sleep } from "node:timers/promises";

import { ports } from "../../components/plan/ports";
import { Refusal } from "./deadline";
import { agentTls, EtcdEndpoint, type ClientTls, type MemberList } from "./etcd";
import { readIfThere } from "./files";
import { withLock } from "./lock";
import { approvedState, thisMachine, type Machine } from "./machine";
import { markerSchema } from "./marker";
import { paths } from "./paths";
import { step } from "./point";
import { readRecord, writeRecord, type ClusterRecord, type RecordContent } from "./record";
import {
  resizeStep,
  type DesiredMember,
  type ListedVoter,
  type ResizeFacts,
  type ResizeStep,
  type View,
} from "./resize";
import { reasonOf, say } from "./say";
import { withDropped, withEntered, withLeaving } from "./transitions";

/** Milliseconds for one call. */
const callMs = 3000;

/** What `resize` prints. */
export interface Resized {
  readonly generation: number;
  readonly roster: readonly string[];
}

/** The facts of one step, and what it is to be done with. */
interface Gathered {
  readonly facts: ResizeFacts;
  readonly etag: string;
  readonly addresses: ReadonlyMap<string, string>;
}

/**
 * Brings the cluster to these members, one step after the other, from a member that stays. Killed anywhere and started again, on
 * whatever member, it goes on: everything that it knows is in the record and in etcd's member list.
 */
export async function resize(
  desired: readonly DesiredMember[],
  timeoutSeconds: number,
): Promise<Resized> {
  const machine = await thisMachine();
  const end = performance.now() + timeoutSeconds * 1000;
  let said = "";
  for (;;) {
    const { next, record } = await withLock(() => oneStep(machine, desired), timeoutSeconds);
    if (next.kind === "done") {
      return { generation: record.generation, roster: record.roster.map(({ name }) => name) };
    }
    if (next.kind === "refuse") {
      throw new Refusal(`${next.name}: ${next.reason}`);
    }
    const words = next.kind === "wait" ? `waits for ${next.needs}` : `did: ${next.kind}`;
    if (words !== said) {
      said = words;
      say(words);
    }
    if (performance.now() > end) {
      throw new Error(`the cluster is not resized within ${timeoutSeconds} s: ${words}`);
    }
    await sleep(next.kind === "wait" ? 1000 : 0);
  }
}

async function oneStep(
  machine: Machine,
  desired: readonly DesiredMember[],
): Promise<{ next: ResizeStep; record: ClusterRecord }> {
  const gathered = await gather(machine, desired);
  const { record } = gathered.facts;
  const next = resizeStep(gathered.facts);
  await act(machine, gathered, next);
  return { next, record };
}

async function act(machine: Machine, gathered: Gathered, next: ResizeStep): Promise<void> {
  const { facts, etag, addresses } = gathered;
  const put = async (content: RecordContent): Promise<void> => {
    await writeRecord(machine.bucket, content, { ifMatch: etag });
  };
  switch (next.kind) {
    case "enter":
      return step("resize:enter", () => put(withEntered(facts.record, next.member)));
    case "leave":
      return step("resize:leave", () => put(withLeaving(facts.record, next.name)));
    case "drop":
      return step("resize:drop", () => put(withDropped(facts.record, next.name)));
    case "handOver": {
      const leader = facts.members.find(({ id }) => id === next.from)?.name ?? "";
      return step("resize:handOver", () =>
        through(addresses.get(leader) ?? "", (endpoint) => endpoint.moveLeader(next.to)),
      );
    }
    case "remove": {
      const { address } = await own(machine);
      return step("resize:remove", () => through(address, (endpoint) => endpoint.remove(next.id)));
    }
    case "done":
    case "wait":
    case "refuse":
      return;
  }
}

async function own(machine: Machine): Promise<{ address: string; member: string }> {
  const { config } = await approvedState(machine);
  return { address: config.address, member: config.member };
}

async function through<T>(
  address: string,
  ask: (endpoint: EtcdEndpoint) => Promise<T>,
  tls?: ClientTls,
): Promise<T> {
  const endpoint = new EtcdEndpoint(address, tls ?? (await agentTls()), callMs);
  try {
    return await ask(endpoint);
  } finally {
    endpoint.close();
  }
}

async function gather(machine: Machine, desired: readonly DesiredMember[]): Promise<Gathered> {
  const view = await readRecord(machine.bucket);
  if (view.kind !== "present") {
    throw new Error(view.kind === "absent" ? "there is no cluster record" : view.reason);
  }
  const { record, etag } = view;
  const marker = markerSchema.parse(JSON.parse((await readIfThere(paths.marker)) ?? "null"));
  const { address } = await own(machine);
  const tls = await agentTls();
  const [list, status] = await through(
    address,
    (endpoint) => Promise.all([endpoint.memberList(), endpoint.status()]),
    tls,
  );
  const addresses = new Map(
    [...desired, ...record.roster].map((member) => [member.name, member.address]),
  );
  const members = named(list, addresses);
  const voters = members.flatMap(({ name, isLearner }) =>
    name === undefined || isLearner ? [] : [name],
  );
  const asked = [...new Set([...voters, ...record.roster.map(({ name }) => name)])];
  const answers = await Promise.all(
    asked.map(async (name) => [name, await ask(addresses.get(name) ?? "", tls)] as const),
  );
  return {
    etag,
    addresses,
    facts: {
      record,
      generation: marker.generation,
      desired,
      clusterId: list.clusterId,
      ...(status.leader === undefined ? {} : { leader: status.leader }),
      members,
      views: new Map(answers.map(([name, { view: seen }]) => [name, seen])),
      unhealthy: new Map(
        answers.flatMap(([name, { trouble }]) => (trouble === undefined ? [] : [[name, trouble]])),
      ),
    },
  };
}

/** A member's name is empty until it has started; its peer address says whose it is. */
function named({ members }: MemberList, addresses: ReadonlyMap<string, string>): ListedVoter[] {
  return members.map(({ id, peerUrls, isLearner }) => {
    const name = [...addresses].find(([, address]) =>
      peerUrls.includes(`https://${address}:${ports.peer}`),
    )?.[0];
    return { id, isLearner, ...(name === undefined ? {} : { name }) };
  });
}

/** What one member itself shows, and why it is not healthy, if it is not. */
async function ask(
  address: string,
  tls: ClientTls,
): Promise<{ view: View; trouble: string | undefined }> {
  try {
    return await through(
      address,
      async (endpoint) => {
        const list = await endpoint.memberList();
        const [alarm] = await endpoint.alarms();
        return {
          view: { clusterId: list.clusterId, ids: list.members.map(({ id }) => id) },
          trouble: alarm === undefined ? undefined : `alarm ${alarm.kind} of ${alarm.memberId}`,
        };
      },
      tls,
    );
  } catch (error) {
    const failure = reasonOf(error);
    return { view: { failure }, trouble: `does not answer: ${failure}` };
  }
}
