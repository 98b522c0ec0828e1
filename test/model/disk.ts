import type { Disk, Intent, Marker } from "../../scripts/agent/marker";
import type { Wal } from "./log";

/** Volumes and what is on them. */

/** One data directory. */
export interface Folder {
  marker?: Marker;
  intent?: Intent;
  held?: number;
  damage?: string;
  wal?: Wal;
}

/** A data directory that was moved out of the way. */
export interface Aside {
  readonly name: string;
  readonly generation: number;
  readonly folder: Folder;
}

/** A volume of EBS. */
export interface Volume {
  readonly id: string;
  exists: boolean;
  formatted: boolean;
  data: Folder | undefined;
  /** A restore that is not renamed into its place yet. */
  restoring: Folder | undefined;
  readonly aside: Aside[];
}

/** A volume as it comes from EC2. */
export function freshVolume(id: string): Volume {
  return { id, exists: true, formatted: false, data: undefined, restoring: undefined, aside: [] };
}

/** What an agent finds on a volume. */
export function inspect({ formatted, data, restoring, aside }: Volume): Disk {
  if (!formatted) {
    return { kind: "blank", formatted: false, setAside: [] };
  }
  if (data?.wal !== undefined && data.marker !== undefined) {
    return {
      kind: "data",
      marker: data.marker,
      ...(data.held === undefined ? {} : { held: data.held }),
      ...(data.damage === undefined ? {} : { damage: data.damage }),
    };
  }
  const intent = data?.intent ?? restoring?.intent;
  return {
    kind: "blank",
    formatted: true,
    setAside: aside.map(({ name, generation }) => ({ folder: name, generation })),
    ...(data?.marker === undefined ? {} : { marker: data.marker }),
    ...(intent === undefined ? {} : { intent }),
  };
}
