import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "../toolchain/progress.ts";
import { kinds, usage } from "./fault/kinds.ts";
import { leaderOf, locate, select, stackMembers } from "./fault/members.ts";

/** What a person asks for, as it stands in the environment. */
export interface FaultWish {
  readonly kind: string | undefined;
  readonly member: string | undefined;
  readonly seconds: string | undefined;
  readonly how: string | undefined;
}

/** The wish in the variables that the Makefile exports; an empty one was not given. */
export function wishOf(variables: NodeJS.ProcessEnv): FaultWish {
  const given = (name: string): string | undefined =>
    variables[name] === "" ? undefined : variables[name];
  return {
    kind: given("KIND"),
    member: given("MEMBER"),
    seconds: given("SECONDS"),
    how: given("HOW"),
  };
}

/** How long a fault lasts. */
export function secondsOf(text: string | undefined): number {
  if (text === undefined) return 60;
  if (!/^[1-9]\d{0,4}$/.test(text)) {
    throw new Error(`SECONDS=${text}: a number of seconds, for example 60`);
  }
  return Number(text);
}

/** `make fault`: breaks something on purpose, says what was broken, what should happen now and how to watch it. */
export async function fault(
  environment: Record<string, string>,
  wish: FaultWish,
  log: Log,
): Promise<void> {
  const kind = wish.kind === undefined ? undefined : kinds[wish.kind];
  if (kind === undefined) {
    log(usage());
    if (wish.kind !== undefined) throw new Error(`KIND=${wish.kind}: there is no such fault`);
    return;
  }
  const seconds = secondsOf(wish.seconds);
  const all = await locate(await stackMembers(environment));
  const whom = wish.member ?? (wish.kind === "heal" ? "all" : "follower");
  const members = select(whom, all, await leaderOf(all));
  const region = environment["AWS_REGION"] ?? "";
  const end = await kind.act({ members, all, region, how: wish.how, log });
  log(`expect: ${kind.expect}`);
  log("watch:  make status; make verify; make logs MEMBER=…");
  if (end === undefined) return;
  log(`it lasts ${seconds} s; Ctrl-C ends it at once`);
  const stop = new AbortController();
  const interrupted = (): void => {
    stop.abort();
  };
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, interrupted);
  try {
    await sleep(seconds * 1000, undefined, { signal: stop.signal }).catch(() => undefined);
  } finally {
    for (const name of ["SIGINT", "SIGTERM"] as const) process.off(name, interrupted);
    await end();
  }
  log("it is over");
}
