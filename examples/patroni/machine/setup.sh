#!/bin/bash
# Makes a PostgreSQL machine out of a stock Debian 13, at its first boot and at every later one. Each step may be repeated, and does
# nothing where it has been done. Run by patroni-machine.service, which repeats it until it succeeds. VOLUME_ID is in its environment.
set -o errexit -o nounset -o pipefail

readonly packages=(patroni postgresql-17 python3-etcd python3-boto3)
readonly device="/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_${VOLUME_ID/-/}"
readonly place=/var/lib/postgresql
readonly policy=/usr/sbin/policy-rc.d

say() { printf '== %s\n' "$*"; }

installed() {
  local package
  for package in "${packages[@]}"; do
    [ "$(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || return 1
  done
}

install_packages() {
  if ! installed; then
    say "installs ${packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    # Nothing starts by itself: there is neither the data disk nor a configuration yet. Patroni makes the database, not Debian's scripts.
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 0755 "$policy"
    mkdir -p /etc/postgresql-common
    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
    dpkg --configure -a
    apt-get -q -o DPkg::Lock::Timeout=300 -o Acquire::Languages=none update
    apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold install --no-install-recommends "${packages[@]}"
  fi
  rm -f "$policy"
}

# Whether nothing was ever written where file systems begin. No signature alone is not enough: it may be one that blkid does not know.
is_blank() {
  local status=0
  blkid --probe "$device" >/dev/null 2>&1 || status=$?
  [ "$status" -eq 2 ] && cmp --silent --bytes=4194304 "$device" /dev/zero
}

mount_data() {
  local waited
  for ((waited = 0; waited < 600; waited++)); do
    [ ! -b "$device" ] || break
    sleep 1
  done
  [ -b "$device" ] || { say "$VOLUME_ID is not attached to this machine"; exit 1; }
  if ! mountpoint --quiet "$place"; then
    if is_blank; then
      say "formats $VOLUME_ID, on which nothing was ever written"
      mkfs.ext4 -q -m 1 "$device"
    fi
    mount -o noatime "$device" "$place"
  fi
  # On another machine the same name may have had another number.
  chown --recursive postgres:postgres "$place"
}

install_packages
mount_data
/usr/local/lib/patroni/secrets.py
# What asks for this service waits until it is done; this command must not.
systemctl start --no-block patroni.service
say 'Patroni takes over'
