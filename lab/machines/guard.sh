#!/bin/bash
# Runs one machine: mounts its root in a mount namespace of its own (which therefore vanishes with this process),
# starts the container, starts it again when it asks for a reboot, and writes down how it ended. Independent of
# the daemon: machines survive the daemon's death, and the next daemon reads what is written here.
#
# Environment: FOLDER (the machine's), LOWER (overlay layers), NAMESPACE, LINKS (its network interfaces), NAME, HOST,
# GUARD_GROUPS and MACHINE_GROUPS (control group folders)
set -u

join() {
  local group
  for group in $1; do
    echo "$2" >"$group/cgroup.procs" || exit 1
  done
}

finish() {
  # A dead machine is silent. Its namespace would answer with resets as long as it exists.
  local link
  for link in $LINKS; do ip -n "$NAMESPACE" link set "$link" down; done
  printf '{"code":%d,"at":"%s"}\n' "$1" "$(date -u +%Y-%m-%dT%H:%M:%S.%3NZ)" >"$FOLDER/exit.new"
  mv "$FOLDER/exit.new" "$FOLDER/exit"
  exit 0
}

join "$GUARD_GROUPS" $$
echo $$ >"$FOLDER/guard.new" && mv "$FOLDER/guard.new" "$FOLDER/guard"

# nspawn leaves locks and folders here when it is killed; in a file system of its own they vanish with the rest.
mkdir -p /run/systemd/nspawn
mount -t tmpfs -o mode=0755 tmpfs /run/systemd/nspawn || finish 1
mount -t overlay overlay -o "lowerdir=$LOWER,upperdir=$FOLDER/upper,workdir=$FOLDER/work" "$FOLDER/root" || finish 1

while :; do
  (
    join "$MACHINE_GROUPS" "$BASHPID"
    exec systemd-nspawn --quiet --directory="$FOLDER/root" --boot --register=no --keep-unit \
      --network-namespace-path="/run/netns/$NAMESPACE" --machine="$NAME" --hostname="$HOST" \
      --resolv-conf=off --timezone=off --link-journal=no --console=pipe
  )
  code=$?
  # 133 is how the container asks to be started again.
  [ "$code" -eq 133 ] || finish "$code"
done
