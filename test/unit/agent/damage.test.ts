import { confession } from "../../../scripts/agent/damage";

/** What etcd 3.6.14 was seen to say before it ended, with files that were damaged on purpose. */
const words: [string, string][] = [
  [
    "a byte of the log turned over",
    '{"level":"error","ts":"2026-11-21T14:02:23Z","caller":"etcdserver/server.go:309","msg":"bootstrap failed","error":"walpb: crc mismatch: expected: 5b7e89d9 computed: e6b03368: in file \'0000000000000000-0000000000000000.wal\' at position: 6018552"}',
  ],
  ["half of the database", "unexpected fault address 0x7fc7f1118000"],
  [
    "both meta pages",
    '{"level":"panic","ts":"2026-11-21T14:02:33Z","caller":"backend/backend.go:205","msg":"failed to open database","path":"/var/lib/etcd/data/member/snap/db","error":"checksum error"}',
  ],
  [
    "a page of keys",
    '{"level":"fatal","ts":"2026-11-21T14:02:34Z","caller":"mvcc/kvstore.go:495","msg":"failed to unmarshal mvccpb.KeyValue","error":"proto: illegal wireType 6"}',
  ],
  [
    "no database",
    '{"level":"panic","ts":"2026-11-21T14:02:39Z","caller":"etcdserver/bootstrap.go:420","msg":"failed to recover v3 backend from snapshot","error":"failed to find database snapshot file (snap: snapshot file doesn\'t exist)"}',
  ],
  [
    "the end of the log cut off",
    '{"level":"panic","ts":"2026-11-21T15:16:00Z","logger":"raft","caller":"etcdserver/zap_raft.go:101","msg":"tocommit(21146) is out of range [lastIndex(20011)]. Was the raft log corrupted, truncated, or lost?"}',
  ],
  [
    "other keys than the others have",
    '{"level":"fatal","ts":"2026-11-21T14:02:23Z","caller":"embed/etcd.go:280","msg":"checkInitialHashKV failed","error":"3b1a2d found data inconsistency with peers"}',
  ],
];

it.each(words)("%s", (_, line) => {
  expect(confession(["goroutine 1 [running]:", line, "older"])).toBe(line);
});

it.each([
  [
    "what it repaired",
    '{"level":"warn","ts":"2026-11-21T14:02:23Z","caller":"wal/repair.go:74","msg":"repaired","error":"walpb: crc mismatch"}',
  ],
  [
    "an address that is taken",
    '{"level":"fatal","ts":"2026-11-21T14:02:23Z","caller":"etcdmain/etcd.go:183","msg":"discovery failed","error":"listen tcp 10.42.0.4:2380: bind: address already in use"}',
  ],
  [
    "a certificate that is missing",
    '{"level":"fatal","ts":"2026-11-21T14:02:23Z","caller":"etcdmain/etcd.go:183","msg":"discovery failed","error":"open /etc/etcd/pki/peer.crt: no such file or directory"}',
  ],
  [
    "its removal",
    '{"level":"error","ts":"2026-11-21T14:02:23Z","caller":"etcdserver/server.go:800","msg":"server error","error":"the member has been permanently removed from the cluster"}',
  ],
])("%s is no damage", (_, line) => {
  expect(confession([line])).toBeUndefined();
});
