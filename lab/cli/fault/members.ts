import { execa } from "execa";
import { z } from "zod";
import { frontEndpoint } from "../../paths.ts";

/** A member as a fault finds it: what the stack says of it, and where it is at this moment. */
export interface Member {
  readonly name: string;
  readonly zone: string;
  readonly address: string;
  readonly groupName: string;
  /** The machine it has now, if there is one. */
  readonly machine: Machine | undefined;
}

/** A running machine of the lab. */
export interface Machine {
  readonly instanceId: string;
  /** Its process 1, as the host numbers it, and the folder that shows its files; absent while it boots. */
  readonly pid: number | undefined;
  readonly root: string | undefined;
  /** Its data volume, once that is attached. */
  readonly volumeId: string | undefined;
}

/** What a fault needs of the stack's outputs. */
export interface StackMember {
  readonly name: string;
  readonly zone: string;
  readonly address: string;
  readonly groupName: string;
}

const outputSchema = z.array(
  z.object({
    name: z.string(),
    zone: z.string(),
    address: z.ipv4(),
    groupName: z.string(),
  }),
);

const machinesSchema = z.array(
  z.looseObject({
    id: z.string(),
    desired: z.string(),
    state: z.string().optional(),
    leaderPid: z.number().optional(),
    rootFolder: z.string().optional(),
    address: z.string().optional(),
    publicAddress: z.string().optional(),
    disks: z.array(z.looseObject({ id: z.string() })),
  }),
);

/** A machine as the lab's control interface tells it. */
export type LabMachine = z.infer<typeof machinesSchema>[number];

/** The members that the stack declares. */
export async function stackMembers(environment: Record<string, string>): Promise<StackMember[]> {
  const { stdout } = await execa("pulumi", ["stack", "output", "--json", "--non-interactive"], {
    env: environment,
    stdin: "ignore",
  });
  return outputSchema.parse((JSON.parse(stdout) as { members?: unknown }).members ?? []);
}

/** A call to the lab's own control interface. */
export async function control(
  method: "GET" | "POST",
  path: string,
  body?: unknown,
): Promise<unknown> {
  const response = await fetch(`${frontEndpoint}/_lab/${path}`, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  }).catch((error: unknown) => {
    throw new Error("no lab answers on this host; `make up` starts one", { cause: error });
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} /_lab/${path}: ${response.status} ${text}`);
  return JSON.parse(text) as unknown;
}

/** All machines of the lab that are meant to run. */
export async function labMachines(): Promise<LabMachine[]> {
  const machines = machinesSchema.parse(await control("GET", "machines"));
  return machines.filter(({ desired }) => desired === "running");
}

/** Where the members are now. */
export async function locate(declared: readonly StackMember[]): Promise<Member[]> {
  const machines = await labMachines();
  return declared.map((member) => {
    const found = machines.find(({ address }) => address === member.address);
    return {
      ...member,
      machine:
        found === undefined
          ? undefined
          : {
              instanceId: found.id,
              pid: found.leaderPid,
              root: found.rootFolder,
              volumeId: found.disks[0]?.id,
            },
    };
  });
}

/** The member's machine; an error when there is none at the moment. */
export function machineOf(member: Member): Machine {
  if (member.machine === undefined) {
    throw new Error(`${member.name} has no machine at the moment; \`make status\` shows it`);
  }
  return member.machine;
}

/** Whether the member's etcd says of itself that it leads. Asked inside its machine: nobody else may ask there. */
export async function leads(member: Member): Promise<boolean> {
  const pid = member.machine?.pid;
  if (pid === undefined) return false;
  const { stdout } = await execa(
    "nsenter",
    ["-t", String(pid), "-n", "curl", "-s", "-m", "2", `http://${member.address}:2381/metrics`],
    { reject: false, stdin: "ignore" },
  );
  return /^etcd_server_is_leader 1$/m.test(stdout);
}

/**
 * The members that a `MEMBER=` means: `leader`, `follower` (the first), `followers`, `all`, or names with commas between them.
 *
 * @throws when it names nobody; the message lists what there is
 */
export function select(wish: string, members: readonly Member[], leader?: string): Member[] {
  const names = members.map(({ name }) => name);
  const needsLeader = ["leader", "follower", "followers"].includes(wish);
  if (needsLeader && leader === undefined) {
    throw new Error(
      `MEMBER=${wish}: no member leads at the moment; name one of ${names.join(", ")}`,
    );
  }
  if (wish === "all") return [...members];
  if (wish === "leader") return members.filter(({ name }) => name === leader);
  const followers = members.filter(({ name }) => name !== leader);
  if (wish === "followers") return followers;
  if (wish === "follower") return followers.slice(0, 1);
  return wish.split(",").map((name) => {
    const found = members.find((member) => member.name === name.trim());
    if (found === undefined) {
      throw new Error(
        `MEMBER=${wish}: there is no member ${name}; there are ${names.join(", ")}, leader, follower, followers, all`,
      );
    }
    return found;
  });
}

/** Name of the member that leads now, if one does. */
export async function leaderOf(members: readonly Member[]): Promise<string | undefined> {
  const answers = await Promise.all(members.map(leads));
  return members.find((_, index) => answers[index])?.name;
}
