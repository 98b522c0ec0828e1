import { dataDirectory, pkiFiles, volumeMount } from "../../components/plan/machinePaths";

/** Another root than / lets a test run the delivered bundle without being a machine. */
const root = process.env["ETCD_AGENT_ROOT"] ?? "";

/** Where things are on a machine, beside what etcd's settings name. boot.sh and the units speak of the same places. */
export const paths = {
  /** What boot.sh says about this machine: CLUSTER, MEMBER, BUCKET, REGION. */
  bootFile: `${root}/etc/etcd-cluster/boot.env`,
  /** Copies of desired states by hash, and the hash of the approved one: a reboot does not need S3. */
  configs: `${root}/etc/etcd-cluster/config`,
  approved: `${root}/etc/etcd-cluster/approved`,
  /** Hash of the desired state that etcd's settings were last made from. */
  applied: `${root}/etc/etcd-cluster/applied`,
  /** Artifacts by hash, and the links to the ones in use. */
  base: `${root}/opt/etcd-cluster`,
  store: `${root}/opt/etcd-cluster/store`,
  /** Programs of the etcd that is in use. */
  etcdFolder: `${root}/opt/etcd-cluster/etcd/current`,
  /** Keys and certificates: a link into the store, which has a folder for each set of them. */
  pki: `${root}/etc/etcd/pki`,
  pkiStore: `${root}/etc/etcd/pki.d`,
  pkiFiles: {
    clientCa: `${root}${pkiFiles.clientCa}`,
    peerCa: `${root}${pkiFiles.peerCa}`,
    serverCertificate: `${root}${pkiFiles.serverCertificate}`,
    serverKey: `${root}${pkiFiles.serverKey}`,
    peerCertificate: `${root}${pkiFiles.peerCertificate}`,
    peerKey: `${root}${pkiFiles.peerKey}`,
    agentCertificate: `${root}${pkiFiles.agentCertificate}`,
    agentKey: `${root}${pkiFiles.agentKey}`,
    revoked: `${root}${pkiFiles.revoked}`,
  },
  etcdEnvironment: `${root}/etc/etcd/etcd.env`,
  /** etcd.service starts only while this exists; gone after a reboot. */
  permit: `${root}/run/etcd-cluster/permit`,
  /** One lock for all agent processes of the machine. */
  lock: `${root}/run/etcd-cluster/lock`,
  /** Held by whoever uploads data; nobody attests while somebody does. */
  uploadLock: `${root}/run/etcd-cluster/upload.lock`,
  /** Names the point at which the agent is to end itself; for tests. */
  dieAt: `${root}/run/etcd-cluster/die-at`,
  /** Says that another machine takes this one's place, and why; gone after a reboot. */
  leave: `${root}/run/etcd-cluster/leave`,
  /** Id of the volume that this machine uses for the member, which may be another than the configured one. */
  volume: `${root}/etc/etcd-cluster/volume`,
  /** Room for copies while the volume is not mounted. */
  cache: `${root}/var/cache/etcd-cluster`,
  /** What the agent is doing or waiting for, for `status`. */
  state: `${root}/run/etcd-cluster/state.json`,
  /** Volumes by their ids, as udev shows them. */
  devices: `${root}/dev/disk/by-id`,
  mount: `${root}${volumeMount}`,
  data: `${root}${dataDirectory}`,
  /** Whose data this is. */
  marker: `${root}${dataDirectory}/etcd-cluster.json`,
  /** Written before the member's name goes into `joined`: proof that etcd never ran on this volume. */
  intent: `${root}${dataDirectory}/etcd-cluster.intent`,
  /** Highest commit index seen. */
  commit: `${root}${dataDirectory}/etcd-cluster.commit`,
  /** Epoch of the roll call for which this member is held; etcd.service refuses while it exists. */
  held: `${root}${dataDirectory}/etcd-cluster.held`,
  /** Why the data must not be started, once that was found out. */
  damage: `${root}${dataDirectory}/etcd-cluster.damage`,
  /** Where a source is restored to before it becomes the data. Made anew at every attempt. */
  restoring: `${root}${dataDirectory}.restoring`,
  /** Said there before the member's name goes into `joined`. */
  restoringIntent: `${root}${dataDirectory}.restoring/etcd-cluster.intent`,
  /** Copies that are made and removed again. */
  scratch: `${root}${volumeMount}/scratch`,
  /** Work of upkeep on the volume: a snapshot on its way into the bucket, and a backup that is being tried. */
  upkeep: `${root}${volumeMount}/upkeep`,
  /** Held by whoever takes a backup. */
  backupLock: `${root}/run/etcd-cluster/backup.lock`,
  /** Held by whoever looks after the member beside etcd. */
  upkeepLock: `${root}/run/etcd-cluster/upkeep-run.lock`,
  /** What upkeep did last, for `status` and for its own next run. */
  upkeepState: `${root}/run/etcd-cluster/upkeep.json`,
  /** etcd's own folder; its write-ahead log tells data from a blank disk. */
  writeAheadLog: `${root}${dataDirectory}/member/wal`,
  /** What etcd has applied of it. */
  database: `${root}${dataDirectory}/member/snap/db`,
} as const;
