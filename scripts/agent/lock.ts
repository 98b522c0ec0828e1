import { spawn } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";

import { paths } from "./paths";

/** Somebody else has the lock. */
export class Busy extends Error {}

/**
 * Runs something while no other agent process of this machine reads facts or acts on them. flock(1) takes the lock and becomes cat, whose
 * input is our pipe: if we die, it ends and the lock is free.
 */
export async function withLock<T>(
  action: () => Promise<T>,
  timeoutSeconds = 60,
  file: string = paths.lock,
): Promise<T> {
  await mkdir(dirname(file), { recursive: true });
  const holder = spawn(
    "flock",
    ["--no-fork", "--exclusive", "--timeout", String(timeoutSeconds), file, "cat"],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  holder.stdin.on("error", () => {
    // It has ended, which is seen below.
  });
  // What comes back says that cat runs, so the lock is held.
  holder.stdin.write("held\n");
  const ended = new Promise<void>((resolve) => {
    holder.once("close", () => {
      resolve();
    });
  });
  try {
    await new Promise<void>((resolve, reject) => {
      holder.once("error", reject);
      holder.stdout.once("data", () => {
        resolve();
      });
      void ended.then(() => {
        reject(new Busy(`another agent process is busy; waited ${timeoutSeconds} s for ${file}`));
      });
    });
    return await action();
  } finally {
    holder.stdin.end();
    await ended;
  }
}
