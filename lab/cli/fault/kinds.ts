import {
  cutPeers,
  cutS3,
  cutZone,
  destroyVolumes,
  healAll,
  killEtcd,
  killMachines,
  refuseS3,
  stopEtcd,
} from "./actions.ts";
import { Damage, damage } from "./damage.ts";
import type { Member } from "./members.ts";
import { fill } from "./nospace.ts";

/** What a fault is told. */
export interface FaultCall {
  readonly members: readonly Member[];
  readonly all: readonly Member[];
  readonly region: string;
  readonly how: string | undefined;
  readonly log: (line: string) => void;
}

/** One kind of fault, for people. */
export interface Kind {
  readonly summary: string;
  /** What happens next, if all goes well. */
  readonly expect: string;
  /** Begins the fault. One that lasts answers how to end it. */
  readonly act: (call: FaultCall) => Promise<(() => Promise<void>) | undefined>;
}

const names = (members: readonly Member[]): string => members.map(({ name }) => name).join(", ");

const done = undefined;

/** The kinds of faults by the word after KIND=. */
export const kinds: Readonly<Record<string, Kind>> = {
  process: {
    summary: "kill -9 of etcd",
    expect: "systemd starts it again; if it led, another leads within about two seconds",
    act: async ({ members, log }) => {
      const pids = await killEtcd(members);
      log(`killed etcd of ${names(members)} (process ${pids.join(", ")})`);
      return done;
    },
  },
  stop: {
    summary: "etcd stands still (SIGSTOP) for SECONDS, then goes on",
    expect: "nobody restarts it; the others elect a leader if it led; it follows when it goes on",
    act: ({ members, log }) => {
      const goOn = stopEtcd(members);
      log(`etcd of ${names(members)} stands still`);
      return Promise.resolve(() => {
        goOn();
        return Promise.resolve();
      });
    },
  },
  machine: {
    summary: "the machine dies as if its host had",
    expect:
      "its group launches another, which takes over address and volume and goes on as the same member, with the same id",
    act: async ({ members, log }) => {
      const ids = await killMachines(members);
      log(`killed the machine of ${names(members)} (${ids.join(", ")})`);
      return done;
    },
  },
  volume: {
    summary: "the machine dies, and its data volume is deleted",
    expect:
      "the replacement finds no volume, makes one once it is sure that there is none, and re-joins as a learner with a new id; " +
      "of a majority: the roll call, and the next generation from the best copy",
    act: async ({ members, region, log }) => {
      const doomed = await destroyVolumes(members, region);
      for (const { instanceId, volumeId } of doomed)
        log(`destroyed ${instanceId} and its volume ${volumeId}`);
      return done;
    },
  },
  data: {
    summary: `the disk hurts etcd's files: HOW=${Object.values(Damage).join(" | ")}`,
    expect:
      "with a healthy quorum elsewhere the data is set aside and the member re-joins; otherwise it is held, and says so",
    act: ({ members, how, log }) => {
      const way = Object.values(Damage).find((each) => each === how);
      if (way === undefined) {
        throw new Error(`HOW=${how ?? ""}: it is one of ${Object.values(Damage).join(", ")}`);
      }
      for (const member of members) log(`${member.name}: ${damage(member, way)}`);
      return Promise.resolve(done);
    },
  },
  zone: {
    summary: "the member's availability zone is cut off for SECONDS",
    expect:
      "the majority serves; the cut member has no quorum and changes nothing; it follows again when the zone is back",
    act: async ({ members, log }) => {
      const zones = [...new Set(members.map(({ zone }) => zone))];
      for (const zone of zones) await cutZone(zone, true);
      log(`cut off ${zones.join(", ")}`);
      return async () => {
        for (const zone of zones) await cutZone(zone, false);
      };
    },
  },
  peers: {
    summary: "the member is cut off from the other members and from S3 for SECONDS, but lives",
    expect:
      "the majority serves; with no majority left nothing automatic happens, and the wait names who is silent",
    act: async ({ members, all, log }) => {
      await cutPeers("peers", members, all, true);
      log(`${names(members)} can reach neither the other members nor S3`);
      return () => cutPeers("peers", [], all, false);
    },
  },
  s3: {
    summary:
      "the member cannot reach S3 for SECONDS: packets are lost, or with HOW=refuse it answers 503",
    expect:
      "etcd does not notice; backups grow older and are made up for; a machine that boots now waits",
    act: async ({ members, how, log }) => {
      if (how === "refuse") {
        await refuseS3(members);
        log(`S3 refuses ${names(members)}`);
        return () => refuseS3([]);
      }
      await cutS3("s3", members);
      log(`S3 is out of reach for ${names(members)}`);
      return () => cutS3("s3", []);
    },
  },
  nospace: {
    summary: "the database is filled up to its quota",
    expect:
      "etcd raises NOSPACE and refuses writes; the agents compact, defragment and disarm, and writes resume",
    act: async ({ members, log }) => {
      const [first] = members;
      if (first !== undefined) await fill(first, log);
      return done;
    },
  },
  heal: {
    summary: "ends every fault that lasts: cuts, refusals",
    expect: "what was cut off comes back by itself",
    act: async ({ all, log }) => {
      await healAll(all.map(({ zone }) => zone));
      log("nothing is cut off any more, and S3 answers everybody");
      return done;
    },
  },
};

/** What `make fault` prints when it is not told what to do. */
export function usage(): string {
  const width = Math.max(...Object.keys(kinds).map((kind) => kind.length));
  return [
    "make fault KIND=<kind> [MEMBER=m2 | m1,m2 | leader | follower | followers | all] [SECONDS=60] [HOW=…]",
    "",
    ...Object.entries(kinds).map(([kind, { summary }]) => `  ${kind.padEnd(width)}  ${summary}`),
    "",
    "Without MEMBER it happens to a follower, and `heal` to everybody. A fault that lasts ends after SECONDS (60), or with Ctrl-C.",
    "Watch with: make status, make verify, make logs MEMBER=…",
  ].join("\n");
}
