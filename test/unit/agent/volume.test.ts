import type { Volume } from "@aws-sdk/client-ec2";

import { isAttached } from "../../../scripts/agent/disk";
import { VolumeFinder, type VolumeView } from "../../../scripts/agent/volume";
import type { AwsClients } from "../../../scripts/agent/aws";
import { config } from "./config";

jest.mock("../../../scripts/agent/disk", () => ({ isAttached: jest.fn() }));

/** Which volume a machine uses for its member, by what EC2 says. */

const configured = config().volume.id;
const recorded = "vol-00000001";
const other = "vol-00000002";
const instanceId = "i-0000000a";

class NotFound extends Error {
  override readonly name = "InvalidVolume.NotFound";
}

interface Request {
  readonly constructor: { readonly name: string };
  readonly input: { readonly VolumeIds?: string[]; readonly VolumeId?: string };
}

describe("which volume", () => {
  let volumes: Map<string, Volume>;
  let attached: Set<string>;
  let calls: string[];
  let failure: Error | undefined;
  let now: number;
  let finder: VolumeFinder;

  const answer = ({ constructor: { name }, input }: Request): unknown => {
    const ids = input.VolumeIds?.join(",") ?? input.VolumeId ?? "tags";
    calls.push(`${name.replace("Command", "")} ${ids}`);
    if (failure !== undefined) {
      throw failure;
    }
    if (name === "AttachVolumeCommand") {
      attached.add(input.VolumeId ?? "");
      return {};
    }
    if (input.VolumeIds === undefined) {
      return { Volumes: [...volumes.values()] };
    }
    const found = volumes.get(input.VolumeIds[0] ?? "");
    if (found === undefined) {
      throw new NotFound("it does not exist");
    }
    return { Volumes: [found] };
  };

  const have = (VolumeId: string, State: Volume["State"] = "available"): void => {
    volumes.set(VolumeId, { VolumeId, State });
  };
  const find = (known: string | undefined = recorded): Promise<VolumeView> =>
    finder.find({ config: config(), instanceId, recorded: known });

  beforeEach(() => {
    volumes = new Map();
    attached = new Set();
    calls = [];
    failure = undefined;
    now = 0;
    jest.mocked(isAttached).mockImplementation((id) => Promise.resolve(attached.has(id)));
    jest.spyOn(performance, "now").mockImplementation(() => now);
    finder = new VolumeFinder({
      ec2: () =>
        Promise.resolve({
          send: (request: Request) => Promise.resolve().then(() => answer(request)),
        }),
    } as unknown as AwsClients);
  });
  afterEach(() => {
    jest.restoreAllMocks();
  });

  it("one that is attached, without a question", async () => {
    attached.add(recorded);
    expect(await find()).toEqual({ kind: "attached", volumeId: recorded });
    attached = new Set([configured]);
    expect(await finder.find({ config: config(), instanceId, recorded: undefined })).toEqual({
      kind: "attached",
      volumeId: configured,
    });
    expect(calls).toEqual([]);
  });

  it("the recorded one while it exists, whatever else there is", async () => {
    for (const id of [configured, other, recorded]) {
      have(id);
    }
    expect(await find()).toEqual({ kind: "attached", volumeId: recorded });
    expect(calls).toEqual([`DescribeVolumes ${recorded}`, `AttachVolume ${recorded}`]);
  });

  it("one that another machine still has is waited for, not taken, and not replaced", async () => {
    have(configured);
    volumes.set(recorded, {
      VolumeId: recorded,
      State: "in-use",
      Attachments: [{ InstanceId: "i-0000000b", State: "attached" }],
    });
    now = 10_000_000;
    expect(await find()).toEqual({
      kind: "notAttachable",
      volumeId: recorded,
      reason: "it is still attached to i-0000000b",
    });
    expect(calls).toEqual([`DescribeVolumes ${recorded}`]);
  });

  it("else the configured one, else the only one with the tags", async () => {
    have(configured);
    have(other);
    expect(await find()).toEqual({ kind: "attached", volumeId: configured });
    volumes.delete(configured);
    attached.clear();
    expect(await find()).toEqual({ kind: "attached", volumeId: other });
    // From here on nobody is asked for the lost one, for a while.
    calls = [];
    expect(await find()).toEqual({ kind: "attached", volumeId: other });
    expect(calls).toEqual([]);
    now += 61_000;
    have(recorded);
    expect(await find()).toEqual({ kind: "attached", volumeId: recorded });
  });

  it("of two with the tags none", async () => {
    have(other);
    have("vol-00000003");
    const view = await find();
    expect(view).toMatchObject({ kind: "notAttachable", volumeId: recorded });
    expect(view.kind === "notAttachable" ? view.reason : "").toMatch(
      /vol-00000002, vol-00000003 all carry the tags of m1/,
    );
  });

  it("lost only after its time, counted anew whenever it was seen", async () => {
    const seconds = config().recovery.volumeLossSeconds;
    expect(await find()).toMatchObject({ kind: "notAttachable" });
    now = seconds * 1000 - 1;
    expect(await find()).toMatchObject({ kind: "notAttachable" });
    have(recorded, "creating");
    expect(await find()).toMatchObject({ kind: "notAttachable", reason: "it is creating" });
    volumes.clear();
    now += 5000;
    expect(await find()).toMatchObject({ kind: "notAttachable" });
    now += seconds * 1000;
    expect(await find()).toEqual({ kind: "gone", volumeId: recorded });
  });

  it("an EC2 that does not answer says nothing about a volume", async () => {
    await find();
    now = 10_000_000;
    failure = new Error("RequestLimitExceeded");
    expect(await find()).toEqual({
      kind: "notAttachable",
      volumeId: recorded,
      reason: "EC2 does not answer for it: RequestLimitExceeded",
    });
  });

  it("one that is being deleted does not exist", async () => {
    have(recorded, "deleting");
    have(other);
    expect(await find()).toEqual({ kind: "attached", volumeId: other });
  });
});
