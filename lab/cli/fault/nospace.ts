import { execa } from "execa";
import { machineOf, type Member } from "./members.ts";

const pki = "/etc/etcd/pki";

/**
 * Overwrites a few large values until etcd refuses: the history of those keys fills the database. It is in the member's machine,
 * with its agent's certificate; nothing but etcdctl and a loop.
 */
const script = `
set -u
value=$(mktemp)
trap 'rm -f "$value"' EXIT
head -c 1500000 /dev/zero | tr '\\0' x > "$value"
fill() {
  i=0
  failed=0
  while :; do
    if said=$(etcdctl put "fault/fill/$1" < "$value" 2>&1 > /dev/null); then
      i=$((i + 1))
      failed=0
      continue
    fi
    case $said in
      *'database space exceeded'*) echo "$i"; return 0 ;;
    esac
    # A busy disk makes single puts fail; only failing all the time is a fault of another kind.
    failed=$((failed + 1))
    [ "$failed" -lt 20 ] || { echo "$said" >&2; return 1; }
    sleep 0.2
  done
}
fill 1 & one=$!
fill 2 & two=$!
fill 3
wait "$one" && wait "$two"`;

/** Fills the database up to its quota, through one member. Resolves when etcd refuses for lack of space. */
export async function fill(member: Member, log: (line: string) => void): Promise<void> {
  const { pid } = machineOf(member);
  if (pid === undefined) throw new Error(`${member.name}: its machine does not run`);
  log(`filling the database through ${member.name}; this takes a minute or two`);
  const { stdout } = await execa(
    "nsenter",
    ["-t", String(pid), "-m", "-u", "-i", "-n", "-p", "-r", "--", "bash", "-c", script],
    {
      stdin: "ignore",
      timeout: 600_000,
      extendEnv: false,
      env: {
        PATH: "/usr/local/bin:/usr/bin:/bin",
        ETCDCTL_ENDPOINTS: `https://${member.address}:2379`,
        ETCDCTL_CACERT: `${pki}/client-ca.crt`,
        ETCDCTL_CERT: `${pki}/agent.crt`,
        ETCDCTL_KEY: `${pki}/agent.key`,
      },
    },
  );
  const values = stdout.trim().split("\n").map(Number);
  const sum = values.reduce((one, other) => one + other, 0);
  log(`etcd took ${sum} values, and refused the next for lack of space`);
}
