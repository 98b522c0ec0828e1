import { killEtcd } from "../../../lab/cli/fault/actions.ts";
import type { Member } from "../../../lab/cli/fault/members.ts";
import type { Cluster } from "../harness/cluster.ts";
import { line } from "../harness/line.ts";
import { now } from "../writer/clock.ts";

type Whom = (roles: Awaited<ReturnType<Cluster["roles"]>>) => Member[];

/** kill -9 of etcd: nothing on any disk is gone, so nothing may be, and systemd alone brings it back. */
export function processLines(): void {
  const lines: readonly (readonly [string, string, Whom])[] = [
    ["process-follower", "kill -9 of a follower's etcd", ({ followers }) => followers.slice(0, 1)],
    ["process-leader", "kill -9 of the leader's etcd", ({ leader }) => [leader]],
    [
      "process-majority",
      "kill -9 of the leader's and a follower's etcd",
      ({ leader, followers }) => [leader, ...followers.slice(0, 1)],
    ],
    ["process-all", "kill -9 of every etcd", ({ all }) => all],
  ];
  for (const [name, what, whom] of lines) {
    line({
      name,
      what,
      then: "systemd starts it again; where a leader or a quorum is missing, another is elected",
      withinSeconds: 60,
      act: async ({ cluster }) => {
        const doomed = whom(await cluster.roles());
        const at = now();
        await killEtcd(doomed);
        return { at, inEffectAt: now() };
      },
    });
  }
}
