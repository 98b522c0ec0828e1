import { spawn } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";

import { paths } from "./paths";

/**
 * Runs something while no other agent process of this machine reads facts or acts on them. The kernel holds the lock for flock(1),
 * whose input is our pipe: if we die, it ends and the lock is free.
 */
export async function withLock<T>(
  action: () => Promise<T>,
  timeoutSeconds = 60,
  file: string = paths.lock,
): Promise<T> {
  await mkdir(dirname(file), { recursive: true });
  const hold = "echo held; cat > /dev/null";
  const holder = spawn(
    "flock",
    ["--exclusive", "--timeout", String(timeoutSeconds), file, "sh", "-c", hold],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
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
        reject(new Error(`another agent process is busy; waited ${timeoutSeconds} s for ${file}`));
      });
    });
    return await action();
  } finally {
    holder.stdin.end();
    await ended;
  }
}
