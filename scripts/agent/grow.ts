import type { MemberConfig } from "../../components/plan/memberConfig";
import { until } from "./deadline";
import { devicePath, isMounted, volumeInUse } from "./disk";
import { must } from "./run";
import { say } from "./say";

/** Seconds for a device to show a size that EC2 has already agreed to. */
const deviceSeconds = 120;

/** Size of a device, bytes. */
async function sizeOf(device: string): Promise<number> {
  const text = await must("blockdev", ["--getsize64", device]);
  return Number(text.trim());
}

/** Makes the file system as large as its volume is, while it is in use. Does nothing where there is nothing to do. */
export async function growFileSystem({ volume }: MemberConfig): Promise<void> {
  const volumeId = (await volumeInUse()) ?? volume.id;
  if (await isMounted(volumeId)) {
    await must("resize2fs", [devicePath(volumeId)], { timeoutSeconds: 600 });
  }
}

/**
 * The same, after EC2 has made the volume as large as the desired state says: Pulumi asked for that before. A volume that was created in
 * place of a lost one, and is not configured yet, may be smaller.
 */
export async function growToDesired(config: MemberConfig): Promise<void> {
  const { volume } = config;
  const volumeId = (await volumeInUse()) ?? volume.id;
  if (volumeId === volume.id) {
    const seen = async (): Promise<void> => {
      const gib = (await sizeOf(devicePath(volumeId))) / 2 ** 30;
      if (gib < volume.sizeGiB) {
        throw new Error(`${volumeId} shows ${gib} GiB here; it is to have ${volume.sizeGiB}`);
      }
    };
    await until(deviceSeconds, seen, { pauseMs: 1000 });
  } else {
    say(`${volumeId} is used instead of ${volume.id}, and keeps its size`);
  }
  await growFileSystem(config);
}
