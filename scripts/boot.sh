#!/bin/sh
# First boot of a member's machine, run by cloud-init: fetches what the member's approved desired state names, every file checked
# by its hash, and hands over to the agent. Needs what a stock Debian 13 has, holds no secret and no version, and may run twice.
# Credentials are the machine's own role's; they go through pipes, never through argv.
set -eu
umask 077

cluster='@CLUSTER@'
member='@MEMBER@'
bucket='@BUCKET@'
region='@REGION@'

metadata='http://169.254.169.254/latest'
base=/opt/etcd-cluster
store=$base/store
settings=/etc/etcd-cluster
# Everything here is local or one hop away; beyond this something is wrong that somebody must see.
deadline=$(($(date +%s) + 900))

say() { printf '== boot %s: %s\n' "$member" "$*"; }

# again WHAT COMMAND...: until it succeeds or the time is up. IAM and the way out may lag behind the machine by a minute.
again() {
  what=$1
  shift
  tries=0
  until "$@"; do
    tries=$((tries + 1))
    if [ "$(date +%s)" -ge "$deadline" ]; then
      say "gave up: $what"
      exit 1
    fi
    [ $((tries % 10)) -ne 1 ] || say "not yet: $what"
    sleep 1
  done
}

metadata_get() {
  printf 'header = "X-aws-ec2-metadata-token: %s"\n' "$token" |
    curl -sf -m 5 --config - "$metadata/meta-data/$1"
}

# Leaves the role's credentials, as curl's options, in $credentials.
get_credentials() {
  token=$(curl -sf -m 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' "$metadata/api/token") || return 1
  role=$(metadata_get iam/security-credentials/) || return 1
  credentials=$(metadata_get "iam/security-credentials/$role" | python3 -c '
import json, sys
c = json.load(sys.stdin)
print("user = \"%s:%s\"" % (c["AccessKeyId"], c["SecretAccessKey"]))
print("header = \"x-amz-security-token: %s\"" % c["Token"])
') && [ -n "$credentials" ]
}

# from_bucket KEY FILE: downloads; a stalled transfer is cut and tried again.
from_bucket() {
  printf '%s\n' "$credentials" |
    curl -sf --connect-timeout 5 --speed-time 20 --speed-limit 1000 --config - \
      --aws-sigv4 "aws:amz:$region:s3" -o "$2" "https://$bucket.s3.$region.amazonaws.com/$1"
}

is() { [ -f "$2" ] && printf '%s  %s\n' "$1" "$2" | sha256sum --check --status; }

# by_hash SHA256 KEY FILE: has the file or gets it; what comes with another hash is not kept. The role's credentials may have
# appeared after the first try, so every try asks anew.
by_hash() {
  if is "$1" "$3"; then return 0; fi
  if get_credentials && from_bucket "$2" "$3.new" && is "$1" "$3.new"; then
    mv "$3.new" "$3"
  else
    rm -f "$3.new"
    return 1
  fi
}

get_approved() {
  get_credentials && from_bucket "config/$member/approved" "$settings/approved.new" &&
    grep -Eqx '[0-9a-f]{64}' "$settings/approved.new" && mv "$settings/approved.new" "$settings/approved"
}

# install_artifact NAME SHA256 TAR-OPTION...: fetches and unpacks into the store; the rename makes it whole or absent.
install_artifact() {
  name=$1 hash=$2
  shift 2
  if [ -d "$store/$hash" ]; then return 0; fi
  again "artifact $name" by_hash "$hash" "artifacts/$hash" "$store/$hash.tar"
  rm -rf "$store/$hash.partial"
  mkdir -p "$store/$hash.partial"
  tar -x -f "$store/$hash.tar" -C "$store/$hash.partial" --no-same-owner "$@"
  chmod -R a+rX "$store/$hash.partial"
  mv "$store/$hash.partial" "$store/$hash"
  rm -f "$store/$hash.tar"
  say "installed $name"
}

# point LINK TARGET: replaces a symbolic link in one step.
point() {
  ln -sfn "$2" "$1.new"
  mv -T "$1.new" "$1"
}

mkdir -p "$base/etcd" "$store" "$settings"
chmod 0755 "$base" "$base/etcd" "$store"
again 'the approved desired state' get_approved
approved=$(cat "$settings/approved")
again 'the desired state' by_hash "$approved" "config/$member/$approved.json" "$settings/$approved.json"
names=$(python3 -c '
import json, re, sys
a = json.load(open(sys.argv[1]))["artifacts"]
words = [a["node"]["sha256"], a["agent"]["sha256"], a["etcd"]["sha256"], a["etcd"]["version"]]
assert all(re.fullmatch("[0-9a-f]{64}|[0-9.]+", w) for w in words)
print(*words)
' "$settings/$approved.json")
# shellcheck disable=SC2086 # four checked words
set -- $names

install_artifact node "$1" --strip-components=1 & node_job=$!
install_artifact agent "$2" & agent_job=$!
install_artifact etcd "$3" --strip-components=1 & etcd_job=$!
wait "$node_job"
wait "$agent_job"
wait "$etcd_job"
point "$base/node" "$store/$1"
point "$base/agent" "$store/$2"
point "$base/etcd/$4" "$store/$3"
point "$base/etcd/current" "$4"

getent passwd etcd > /dev/null ||
  useradd --system --user-group --home-dir /var/lib/etcd --no-create-home --shell /usr/sbin/nologin etcd

printf 'CLUSTER=%s\nMEMBER=%s\nBUCKET=%s\nREGION=%s\n' "$cluster" "$member" "$bucket" "$region" > "$settings/boot.env"
cat > /usr/local/bin/etcd-agent.new << 'WRAPPER'
#!/bin/sh
# Node's own list of authorities is older than the system's.
export NODE_USE_SYSTEM_CA=1 NODE_COMPILE_CACHE=/var/cache/etcd-cluster/compiled
exec /opt/etcd-cluster/node/bin/node /opt/etcd-cluster/agent/agent.js "$@"
WRAPPER
chmod 0755 /usr/local/bin/etcd-agent.new
mv /usr/local/bin/etcd-agent.new /usr/local/bin/etcd-agent
for program in etcdctl etcdutl; do
  point "/usr/local/bin/$program" "$base/etcd/current/$program"
done

install -m 0644 "$base"/agent/systemd/*.service /etc/systemd/system/
systemctl daemon-reload
systemctl enable --quiet agent-boot.service
# Without waiting: the agent takes the time that it takes, and cloud-init must not hold up the boot.
systemctl start --no-block agent-boot.service
say 'handed over to the agent'
