import { dataDirectory, volumeMount } from "../../components/plan/machinePaths";

/** Where things are on a machine, beside what etcd's settings name. boot.sh and the units speak of the same places. */
export const paths = {
  /** What boot.sh says about this machine: CLUSTER, MEMBER, BUCKET, REGION. */
  bootFile: "/etc/etcd-cluster/boot.env",
  /** Copies of desired states by hash, and the hash of the approved one: a reboot does not need S3. */
  configs: "/etc/etcd-cluster/config",
  approved: "/etc/etcd-cluster/approved",
  /** Hash of the desired state that etcd's settings were last made from. */
  applied: "/etc/etcd-cluster/applied",
  /** Artifacts by hash, and the links to the ones in use. */
  base: "/opt/etcd-cluster",
  store: "/opt/etcd-cluster/store",
  pki: "/etc/etcd/pki",
  etcdEnvironment: "/etc/etcd/etcd.env",
  /** etcd.service starts only while this exists; gone after a reboot. */
  permit: "/run/etcd-cluster/permit",
  /** One lock for all agent processes of the machine. */
  lock: "/run/etcd-cluster/lock",
  /** What the agent is doing or waiting for, for `status`. */
  state: "/run/etcd-cluster/state.json",
  mount: volumeMount,
  data: dataDirectory,
  /** Whose data this is. */
  marker: `${dataDirectory}/etcd-cluster.json`,
  /** Written before the member's name goes into `joined`: proof that etcd never ran on this volume. */
  intent: `${dataDirectory}/etcd-cluster.intent`,
  /** Highest commit index seen. */
  commit: `${dataDirectory}/etcd-cluster.commit`,
  /** Epoch of the roll call for which this member is held; etcd.service refuses while it exists. */
  held: `${dataDirectory}/etcd-cluster.held`,
  /** etcd's own folder; its write-ahead log tells data from a blank disk. */
  writeAheadLog: `${dataDirectory}/member/wal`,
} as const;
