import { z } from "zod";

/** Whose data a volume holds: kept inside etcd's data directory, so that it moves and is set aside together with the data. */
export const markerSchema = z.strictObject({
  clusterUid: z.uuid(),
  member: z.string(),
  /** The volume this was written on; on any other one it is a copy. */
  volumeId: z.string(),
  generation: z.int().min(1),
  /** The machine that last read `open` at this generation; it alone may start without asking. */
  instanceId: z.string(),
});

/** A marker. */
export type Marker = z.infer<typeof markerSchema>;

/** Said on the volume before the member's name is put into `joined`; etcd has never run on a volume with this and without a log. */
export const intentSchema = z.strictObject({
  clusterUid: z.uuid(),
  member: z.string(),
  volumeId: z.string(),
  generation: z.int().min(1),
});

/** An intent. */
export type Intent = z.infer<typeof intentSchema>;

/** Data that was moved out of the way on the same volume. */
export interface SetAside {
  /** Its folder, at the top of the volume. */
  readonly folder: string;
  readonly generation: number;
}

/** What is on the member's volume. */
export type Disk =
  /** EC2 does not give it to us now; it is not blank. */
  | { readonly kind: "notAttachable"; readonly reason: string }
  /** EC2 has not known it for long enough, and no volume carries its tags. */
  | { readonly kind: "gone" }
  /**
   * No data that could be started: provably never written, or (`formatted`) a file system of ours. A marker without an intent says
   * that there was data once.
   */
  | {
      readonly kind: "blank";
      readonly formatted: boolean;
      readonly marker?: Marker;
      readonly intent?: Intent;
      readonly setAside: readonly SetAside[];
    }
  /** A marker and a write-ahead log. `damage`: why it must not be started. */
  | {
      readonly kind: "data";
      readonly marker: Marker;
      readonly held?: number;
      readonly damage?: string;
    }
  /** Anything that we did not make or cannot read. */
  | { readonly kind: "unknown"; readonly reason: string };
