#!/bin/sh
# First boot of a member's machine, run once by cloud-init: fetches the approved desired state and what it names, each checked by its
# hash, and hands over to the agent. Safe to run again at any time. Credentials are in this shell and in pipes, never in argv
# or files.
set -eu
umask 022

cluster='@CLUSTER@'
member='@MEMBER@'
bucket='@BUCKET@'
region='@REGION@'

metadata=${ETCD_BOOT_METADATA:-http://169.254.169.254/latest}
root=${ETCD_BOOT_ROOT:-}
base=$root/opt/etcd-cluster
state=$root/etc/etcd-cluster
case $region in cn-*) domain=amazonaws.com.cn ;; *) domain=amazonaws.com ;; esac
storage=${ETCD_BOOT_STORAGE:-https://$bucket.s3.$region.$domain}

# IAM and the way out may lag behind the machine by a minute; this long without success is an error that somebody must see.
patience=${ETCD_BOOT_PATIENCE_SECONDS:-900}
started=$(date +%s)

say() { printf '== boot: %s (%d s)\n' "$*" "$(($(date +%s) - started))"; }

# The role's credentials as curl options, one per line, for `curl --config -`.
credentials() {
  token=$(curl -sf -m 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 900' "$metadata/api/token") || return 1
  look() {
    printf 'header = "X-aws-ec2-metadata-token: %s"\n' "$token" | curl -sf -m 5 --config - "$metadata/meta-data/$1"
  }
  role=$(look iam/security-credentials/) || return 1
  look "iam/security-credentials/$role" | python3 -c '
import json, sys
c = json.load(sys.stdin)
print("user = \"%s:%s\"" % (c["AccessKeyId"], c["SecretAccessKey"]))
print("header = \"X-Amz-Security-Token: %s\"" % c["Token"])
'
}

# fetch KEY FILE SECONDS: one attempt to get an object.
fetch() {
  secret=$(credentials) || { say 'the metadata service gives no credentials yet'; return 1; }
  answer=$(printf '%s\n' "$secret" | curl -s -m "$3" --connect-timeout 5 --config - --aws-sigv4 "aws:amz:$region:s3" \
    -o "$2" -w '%{http_code}' "$storage/$1") || answer="no answer ($?)"
  [ "$answer" = 200 ] || { say "$1: $answer"; return 1; }
}

# persist WHAT COMMAND...: repeats a command until it succeeds, at most until patience ends.
persist() {
  what=$1
  shift
  pause=1
  until "$@"; do
    if [ $(($(date +%s) - started)) -ge "$patience" ]; then
      say "gave up: $what"
      exit 1
    fi
    sleep "$pause"
    [ "$pause" -ge 5 ] || pause=$((pause + 1))
  done
}

matches() { printf '%s  %s\n' "$1" "$2" | sha256sum --check --status; }

# One attempt to learn the approved desired state; leaves its hash in $wanted and the document in $state.
desired_state() {
  fetch "config/$member/approved" "$state/approved.new" 20 || return 1
  wanted=$(cat "$state/approved.new")
  printf '%s\n' "$wanted" | grep -Eqx '[0-9a-f]{64}' || { say 'the approved pointer is no hash'; return 1; }
  document=$state/config/$wanted.json
  [ -e "$document" ] && matches "$wanted" "$document" && return 0
  fetch "config/$member/$wanted.json" "$document.new" 20 || return 1
  matches "$wanted" "$document.new" || { say 'the desired state has another hash'; return 1; }
  mv "$document.new" "$document"
}

# One attempt to have an artifact, unpacked, at $base/store/<sha256>; it gets that name only when it is complete.
artifact() {
  place=$base/store/$1
  [ -d "$place" ] && return 0
  work=$base/store/.$1.$$
  rm -rf "$work"
  mkdir -p "$work/content"
  fetch "artifacts/$1" "$work/archive" 300 || return 1
  matches "$1" "$work/archive" || { say "artifact $1 has another hash"; return 1; }
  shift
  tar --no-same-owner -xf "$work/archive" -C "$work/content" "$@" || return 1
  mv -T "$work/content" "$place" && rm -rf "$work"
}

# point LINK TARGET: makes a link lead to another place in one step.
point() { ln -sfn "$2" "$1.new" && mv -T "$1.new" "$1"; }

exec 9> "$root/run/etcd-cluster-boot.lock"
flock 9

say "member $member of $cluster"
mkdir -p "$state/config" "$base/store" "$base/etcd"
persist 'the approved desired state' desired_state
mv "$state/approved.new" "$state/approved"
names=$(python3 -c '
import json, re, sys
d = json.load(open(sys.argv[1]))
a = d["artifacts"]
if d["schema"] != 1 or [d["cluster"], d["member"], d["bucket"], d["region"]] != sys.argv[2:]:
    sys.exit("the desired state is not for this machine")
words = [a["node"]["sha256"], a["agent"]["sha256"], a["etcd"]["sha256"], a["etcd"]["version"]]
if not all(re.fullmatch("[0-9a-f.]+", w) for w in words):
    sys.exit("the desired state names no artifacts")
print(*words)
' "$document" "$cluster" "$member" "$bucket" "$region")
# shellcheck disable=SC2086 # four words, checked above
set -- $names
say "desired state $wanted; etcd $4"

# All at once: what each waits for is the network. Of Node only the runtime is needed, of etcd no documentation.
persist node artifact "$1" --strip-components=1 --wildcards '*/bin/node' & node=$!
persist etcd artifact "$3" --strip-components=1 --wildcards '*/etcd' '*/etcdctl' '*/etcdutl' & etcd=$!
persist agent artifact "$2"
wait "$node"
wait "$etcd"
point "$base/node" "store/$1"
point "$base/agent" "store/$2"
point "$base/etcd/$4" "../store/$3"
point "$base/etcd/current" "$4"
mkdir -p "$root/usr/local/bin"
for program in etcdctl etcdutl; do point "$root/usr/local/bin/$program" "$base/etcd/current/$program"; done
say 'artifacts are in place'

# The number is fixed, because the files on the volume outlive the machine.
getent passwd etcd > /dev/null ||
  useradd --uid 2379 --user-group --home-dir /var/lib/etcd --no-create-home --shell /usr/sbin/nologin etcd
cat > "$state/boot.env" << ENV
CLUSTER=$cluster
MEMBER=$member
BUCKET=$bucket
REGION=$region
ENV
cat > "$root/usr/local/bin/etcd-agent.new" << 'WRAPPER'
#!/bin/sh
# The system's certificate authorities are the ones that count here. DEP0123: gRPC dials members by address, which TLS may.
export NODE_USE_SYSTEM_CA=1 NODE_COMPILE_CACHE=/var/cache/etcd-cluster/compiled
exec /opt/etcd-cluster/node/bin/node --disable-warning=DEP0123 /opt/etcd-cluster/agent/agent.js "$@"
WRAPPER
chmod 0755 "$root/usr/local/bin/etcd-agent.new"
mv "$root/usr/local/bin/etcd-agent.new" "$root/usr/local/bin/etcd-agent"
cp "$base"/agent/systemd/* "$root/etc/systemd/system/"
systemctl daemon-reload
systemctl enable --quiet agent-boot.service
systemctl start --no-block agent-boot.service
say 'the agent takes over'
# A power cut must not leave the store with names and no content; nobody waits for this.
sync -f "$base"
