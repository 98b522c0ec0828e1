# Waits until the sshd of m1 shows the host key that Pulumi made; runs on the bastion.
set -eu
deadline=$(( $(date +%s) + 600 ))
expected='10.42.0.11 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample'
seen=nothing
while [ "$(date +%s)" -lt "$deadline" ]; do
  answer=$(ssh-keyscan -q -T 2 -t ed25519 10.42.0.11 2>/dev/null || true)
  if [ "$answer" = "$expected" ]; then
    echo '{"member":"m1","sshd":"ready"}'
    exit 0
  fi
  if [ -n "$answer" ]; then seen='another host key'; fi
  sleep 0.5
done
echo "m1 (10.42.0.11): sshd did not show its host key within 600 s; seen: $seen" >&2
exit 1
