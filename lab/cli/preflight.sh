#!/usr/bin/env bash
# What the lab needs of its host: everything that is missing is said in one message, before anything is installed; then
# what apt and npm can bring is installed. Bash, because it runs before there is a Node that could run anything else.
# Usage: preflight.sh [--check]     --check: look only, install nothing
set -o errexit -o nounset -o pipefail

cd "$(dirname "$0")/../.."
readonly mode="${1:-install}"
readonly cache="${XDG_CACHE_HOME:-$HOME/.cache}/etcd-cluster"
readonly memory_mib_wanted=4096
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
problems=()

problem() { problems+=("$1"); }
have() { command -v "$1" >/dev/null 2>&1; }

# version_at_least HAVE WANTED
version_at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

check_program() { # name, wanted version, how to ask, what to do
  local version
  if ! version=$($3 2>/dev/null | grep -oE '[0-9]+(\.[0-9]+)+' | head -n 1) || [ -z "$version" ]; then
    problem "$1 is missing; needed: $2 or newer. $4"
  elif ! version_at_least "$version" "$2"; then
    problem "$1 is $version; needed: $2 or newer. $4"
  fi
}

check_tools() {
  check_program node 20.0 "node --version" "Install it from nodejs.org or your distribution."
  check_program npm 9.0 "npm --version" "It comes with Node."
  check_program python3 3.11 "python3 --version" "Debian 12 and newer have it: apt-get install python3."
  check_program go "$(oldest_go)" "go version" "Install it from go.dev, or golang from your distribution's backports."
}

# From 1.21 on, go fetches the toolchain that a module asks for, unless it is told not to.
oldest_go() {
  local setting
  setting=$(go env GOTOOLCHAIN 2>/dev/null) || setting=
  case "$setting" in
    auto | *+auto) printf '1.21' ;;
    *) printf '1.26' ;;
  esac
}

# Features are tried rather than looked up: a container may have one in its kernel and not be allowed to use it.
# What has no tool yet is tried again after the installation.

check_mounts() {
  local -r scratch=$(mktemp -d)
  # shellcheck disable=SC2016 # expanded by the inner shell
  unshare --mount --propagation private bash -c '
    mount -t tmpfs scratch "$1" && mkdir "$1"/{lower,upper,work,root} &&
      mount -t overlay probe -o "lowerdir=$1/lower,upperdir=$1/upper,workdir=$1/work" "$1/root"' \
    bash "$scratch" 2>/dev/null || problem "mount namespaces with an overlay file system cannot be made. Load the module overlay; run outside a restricted container."
  if have losetup && ! { truncate -s 1M "$scratch/disk" && device=$(losetup --find --show "$scratch/disk" 2>/dev/null); }; then
    problem "no loop devices (losetup). Load the module loop, or give the container access to /dev/loop-control and /dev/loop*."
  else
    [ -z "${device:-}" ] || losetup --detach "$device"
  fi
  rm -rf "$scratch"
  grep -qw ext4 /proc/filesystems || modprobe ext4 2>/dev/null || problem "the kernel has no ext4. Use one that has it, for example Debian's."
}

check_groups() {
  local folder made=no
  for folder in /sys/fs/cgroup /sys/fs/cgroup/unified; do
    [ -e "$folder/cgroup.procs" ] || continue
    if mkdir "$folder/ecl-preflight-$$" 2>/dev/null; then
      made=yes
      [ -e "$folder/ecl-preflight-$$/cgroup.kill" ] || problem "control groups cannot be killed as a whole (cgroup.kill). Use Linux 5.14 or newer."
      rmdir "$folder/ecl-preflight-$$"
    fi
  done
  [ "$made" = yes ] || problem "no control groups of version 2 can be made below /sys/fs/cgroup. Mount them writable."
}

check_network() {
  have ip || return 0
  local -r name="ecl-preflight-$$"
  if ! ip netns add "$name" 2>/dev/null; then
    problem "network namespaces cannot be made (ip netns add). Run as root, outside a restricted container."
    return
  fi
  ip -n "$name" link add ecl-pf0 type veth peer name ecl-pf1 2>/dev/null || problem "no veth devices. Load the module veth."
  ip -n "$name" link add ecl-pfb type bridge 2>/dev/null || problem "no bridge devices. Load the module bridge."
  if have nft; then
    ip netns exec "$name" nft -f - 2>/dev/null <<'RULES' || problem "nftables with connection tracking and address translation does not work. Load nf_tables, nft_ct and nft_nat."
table inet preflight {
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
  }
  chain translate {
    type nat hook prerouting priority -100;
  }
}
RULES
  fi
  ip netns del "$name"
}

check_size() {
  local memory disk
  memory=$(awk '/^MemTotal/ {print int($2 / 1024)}' /proc/meminfo)
  [ "$memory" -ge "$memory_mib_wanted" ] || problem "memory: $memory MiB; the lab with three members needs $memory_mib_wanted MiB."
  mkdir -p "$cache"
  disk=$(df --output=avail -m "$cache" | tail -n 1 | tr -d ' ')
  [ "$disk" -ge "$disk_mib_wanted" ] || problem "disk: $disk MiB free at $cache; needed: $disk_mib_wanted MiB. Free some, or set XDG_CACHE_HOME."
}

# package:program pairs; a package whose program is there is not installed.
readonly wanted=(
  debootstrap:debootstrap systemd-container:systemd-nspawn nftables:nft iproute2:ip dnsmasq-base:dnsmasq
  haproxy:haproxy openssh-client:ssh e2fsprogs:mkfs.ext4 util-linux:nsenter mount:losetup openssl:openssl git:git
  make:make debian-archive-keyring:/usr/share/keyrings/debian-archive-keyring.gpg curl:curl procps:ps
)

missing_packages() {
  local pair
  for pair in "${wanted[@]}"; do
    case "${pair#*:}" in
      /*) [ -e "${pair#*:}" ] || printf '%s ' "${pair%%:*}" ;;
      *) have "${pair#*:}" || printf '%s ' "${pair%%:*}" ;;
    esac
  done
  ! have python3 || python3 -m pip --version >/dev/null 2>&1 || printf 'python3-pip '
}

npm_is_current() { [ -e node_modules/.package-lock.json ] && ! [ package-lock.json -nt node_modules/.package-lock.json ]; }

give_up_on_problems() {
  [ "${#problems[@]}" -gt 0 ] || return 0
  printf 'This host cannot run the lab yet:\n' >&2
  printf '  - %s\n' "${problems[@]}" >&2
  exit 1
}

check_host() {
  if [ "$(id -u)" -ne 0 ]; then
    problem "not root: namespaces, mounts and loop devices need it. Use: sudo --preserve-env=PATH,HOME make up"
    return
  fi
  check_mounts
  check_groups
  check_network
}

install_packages() {
  local -r log=$(mktemp)
  printf '== apt: %s\n' "$*"
  if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"; } >"$log" 2>&1; then
    cat "$log" >&2
    printf 'apt could not install: %s\n' "$*" >&2
    exit 1
  fi
  rm -f "$log"
}

main() {
  local packages what=()
  packages=$(missing_packages)
  [ -z "$packages" ] || what+=("Debian packages (0.3 GB): $packages")
  npm_is_current || what+=("npm packages of package-lock.json (0.7 GB)")
  compgen -G "$cache/engine-*" >/dev/null || what+=("Pulumi and its Node host, unless PATH has a new enough Pulumi: built from tools/ (0.3 GB, and 2 GB in Go's own caches; 3 to 6 minutes)")
  compgen -G "$cache/etcd-*" >/dev/null || what+=("etcd, etcdctl, etcdutl: built from tools/ (0.1 GB; a minute)")
  compgen -G "$cache/moto-*" >/dev/null || what+=("moto from PyPI (0.2 GB; half a minute)")
  compgen -G "$cache/image/*" >/dev/null || what+=("the Debian 13 machine image (0.5 GB; one to three minutes)")
  disk_mib_wanted=$((2048 + 1024 * ${#what[@]}))

  check_tools
  check_size
  check_host
  [ -z "$packages" ] || have apt-get || problem "there is no apt-get to install these with: $packages"
  give_up_on_problems

  if [ "${#what[@]}" -gt 0 ]; then
    printf 'This host can run the lab. To be installed, once (keep %s GB of disk free; %s and below %s):\n' \
      "$((disk_mib_wanted / 1024))" "$cache" "$HOME"
    printf '  - %s\n' "${what[@]}"
  fi
  [ "$mode" != --check ] || return 0

  if [ -n "$packages" ] || ! npm_is_current; then
    set_up
  fi
}

# Installs what is missing. Two at once would do it into the same folders: the second waits, and finds nothing left to do. The lock goes
# with this process.
set_up() {
  exec 9>>"$cache/.setup.lock"
  if ! flock --nonblock 9; then
    printf '== waits for process %s, which is setting this host up\n' "$(tail -n 1 "$cache/.setup.lock")"
    flock 9
  fi
  printf '%s\n' "$$" >"$cache/.setup.lock"
  local packages
  packages=$(missing_packages)
  if [ -n "$packages" ]; then
    # shellcheck disable=SC2086 # a list of names, split on purpose
    install_packages $packages
    check_host
    give_up_on_problems
  fi
  if ! npm_is_current; then
    printf '== npm ci\n'
    npm ci --no-audit --no-fund --loglevel=error 9>&-
    touch node_modules/.package-lock.json
  fi
}

main
