#!/usr/bin/env bash
# What the lab needs of its host: everything that is missing is said in one message, before anything is installed.
# Bash, because it runs before there is a Node that could run anything else.
# Usage: preflight.sh [--check]     --check: look only, install nothing
set -o errexit -o nounset -o pipefail

readonly check_only="${1:-}"
readonly cache="${XDG_CACHE_HOME:-$HOME/.cache}/etcd-cluster"
readonly memory_mib_wanted=4096
problems=()

problem() { problems+=("$1"); }

# version_at_least HAVE WANTED
version_at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

check_program() { # name, wanted version, how to ask, what to do
  local have
  if ! have=$($3 2>/dev/null | grep -oE '[0-9]+(\.[0-9]+)+' | head -n 1) || [ -z "$have" ]; then
    problem "$1 is missing; needed: $2 or newer. $4"
  elif ! version_at_least "$have" "$2"; then
    problem "$1 is $have; needed: $2 or newer. $4"
  fi
}

check_tools() {
  check_program node 20.0 "node --version" "Install it from nodejs.org or your distribution."
  check_program python3 3.11 "python3 --version" "Debian 12 and newer have it: apt-get install python3 python3-pip."
  python3 -m pip --version >/dev/null 2>&1 || problem "python3 has no pip. apt-get install python3-pip."
  # From 1.21 on, go fetches the toolchain that a module asks for.
  check_program go 1.21 "go version" "Install it from go.dev, or golang from bookworm-backports."
}

check_kernel() {
  local filesystem
  for filesystem in overlay ext4; do
    grep -qw "$filesystem" /proc/filesystems || modprobe "$filesystem" 2>/dev/null ||
      problem "the kernel has no $filesystem file system. Use a kernel with it (Debian's has it)."
  done
  [ -e /dev/loop-control ] || modprobe loop 2>/dev/null ||
    problem "/dev/loop-control is missing: no loop devices. Load the module loop, or give the container access to it."
  [ -e /sys/fs/cgroup ] || problem "no cgroup file system at /sys/fs/cgroup. Mount it."
}

# Tried rather than looked up: a container may have the kernel feature and not be allowed to use it.
check_network() {
  local -r name="ecl-preflight-$$"
  if ! ip netns add "$name" 2>/dev/null; then
    problem "network namespaces cannot be made (ip netns add). Run as root, outside a restricted container."
    return
  fi
  ip -n "$name" link add "ecl-pf0" type veth peer name "ecl-pf1" 2>/dev/null || problem "no veth devices in this kernel."
  ip -n "$name" link add "ecl-pfb" type bridge 2>/dev/null || problem "no bridge devices in this kernel."
  if command -v nft >/dev/null 2>&1; then
    ip netns exec "$name" nft add table inet preflight 2>/dev/null || problem "nftables does not work in this kernel."
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
  haproxy:haproxy openssh-client:ssh e2fsprogs:mkfs.ext4 util-linux:nsenter openssl:openssl git:git make:make
  debian-archive-keyring:/usr/share/keyrings/debian-archive-keyring.gpg curl:curl
)

missing_packages() {
  local pair
  for pair in "${wanted[@]}"; do
    case "${pair#*:}" in
      /*) [ -e "${pair#*:}" ] || printf '%s ' "${pair%%:*}" ;;
      *) PATH="$PATH:/usr/sbin:/sbin" command -v "${pair#*:}" >/dev/null 2>&1 || printf '%s ' "${pair%%:*}" ;;
    esac
  done
}

main() {
  local packages what=()
  packages=$(missing_packages)
  [ -z "$packages" ] || what+=("Debian packages: $packages")
  [ -e node_modules/.package-lock.json ] || what+=("npm packages of package-lock.json (0.6 GB)")
  compgen -G "$cache/engine-*" >/dev/null || what+=("Pulumi and its Node host, built from tools/ (Go build cache 1.6 GB, result 0.3 GB)")
  compgen -G "$cache/etcd-*" >/dev/null || what+=("etcd, built from tools/ (0.1 GB)")
  compgen -G "$cache/moto-*" >/dev/null || what+=("moto, from PyPI (0.2 GB)")
  compgen -G "$cache/image/*" >/dev/null || what+=("the Debian 13 machine image (0.5 GB)")
  disk_mib_wanted=$((2048 + 1024 * ${#what[@]}))

  [ "$(id -u)" -eq 0 ] || problem "not root: namespaces, mounts and loop devices need it. Use: sudo make up"
  check_tools
  check_kernel
  if [ "$(id -u)" -eq 0 ] && command -v ip >/dev/null 2>&1; then check_network; fi
  check_size
  [ -z "$packages" ] || command -v apt-get >/dev/null 2>&1 ||
    problem "there is no apt-get to install these with: $packages"

  if [ "${#problems[@]}" -gt 0 ]; then
    printf 'This host cannot run the lab yet:\n' >&2
    printf '  - %s\n' "${problems[@]}" >&2
    exit 1
  fi
  if [ "${#what[@]}" -gt 0 ]; then
    printf 'To be installed (needs up to %s GB of disk at %s and below the home folder):\n' "$((disk_mib_wanted / 1024))" "$cache"
    printf '  - %s\n' "${what[@]}"
  fi
  [ "$check_only" != "--check" ] || exit 0
  if [ -n "$packages" ]; then
    apt-get update -qq
    # shellcheck disable=SC2086 # a list of names, split on purpose
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null
  fi
}

main
