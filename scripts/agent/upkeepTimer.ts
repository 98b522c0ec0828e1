import { must } from "./run";
import { reasonOf, say } from "./say";

/** Lets systemd run upkeep every minute from now on. Whatever comes of that is no affair of who starts etcd: it never throws. */
export async function startUpkeep(): Promise<void> {
  try {
    await must("systemctl", ["enable", "--now", "--quiet", "etcd-upkeep.timer"]);
  } catch (error) {
    say(`upkeep is not started: ${reasonOf(error)}`);
  }
}
