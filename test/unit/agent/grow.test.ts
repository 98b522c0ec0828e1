import { growToDesired } from "../../../scripts/agent/grow";
import { config } from "./config";

/** What the device and the mount are like; commands that are not expected are errors. */
const world = { used: undefined as string | undefined, mounted: true, bytes: 0, refused: "" };
const resized: string[] = [];

jest.mock("../../../scripts/agent/disk", () => ({
  devicePath: (id: string) => `/dev/disk/by-id/${id}`,
  isMounted: () => Promise.resolve(world.mounted),
  volumeInUse: () => Promise.resolve(world.used),
}));

jest.mock("../../../scripts/agent/run", () => ({
  must: (program: string, args: string[]): Promise<string> => {
    const device = args.at(-1) ?? "";
    switch ([program, ...args.slice(0, -1)].join(" ")) {
      case "blockdev --getsize64":
        return Promise.resolve(`${world.bytes}\n`);
      case "resize2fs":
        if (world.refused !== "") return Promise.reject(new Error(world.refused));
        resized.push(device);
        return Promise.resolve("");
      default:
        throw new Error(`${program} ${args.join(" ")} was not expected`);
    }
  },
}));

const gib = 2 ** 30;
const { volume } = config();
const wanted = { ...config(), volume: { ...volume, sizeGiB: 20 } };

beforeEach(() => {
  resized.length = 0;
  Object.assign(world, { used: undefined, mounted: true, bytes: 20 * gib, refused: "" });
});

test("the file system grows in use, when the device is as large as it is to be", async () => {
  await growToDesired(wanted);
  expect(resized).toEqual([`/dev/disk/by-id/${volume.id}`]);
});

test("EC2 takes its time: the device is looked at until it has the size, and not resized before", async () => {
  world.bytes = 10 * gib;
  const growing = growToDesired(wanted);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(resized).toEqual([]);
  world.bytes = 20 * gib;
  await growing;
  expect(resized).toEqual([`/dev/disk/by-id/${volume.id}`]);
});

test("what is not mounted grows when it is", async () => {
  world.mounted = false;
  await growToDesired(wanted);
  expect(resized).toEqual([]);
});

test("a volume in place of a lost one keeps its size until it is configured", async () => {
  world.used = "vol-0fedcba9876543210";
  world.bytes = 10 * gib;
  await growToDesired(wanted);
  expect(resized).toEqual(["/dev/disk/by-id/vol-0fedcba9876543210"]);
});

test("a kernel that does not let it grow is an error", async () => {
  world.refused = "Permission denied to resize filesystem";
  await expect(growToDesired(wanted)).rejects.toThrow("Permission denied to resize filesystem");
});
