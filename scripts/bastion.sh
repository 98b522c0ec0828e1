#!/bin/sh
# First boot of the bastion, run once by cloud-init: installs the SSH host key that Pulumi made and only then lets sshd start.
# The key comes as a SecureString by the machine's own role; user data holds none. Credentials go through pipes, never through argv.
set -eu
umask 077

cluster='@CLUSTER@'
region='@REGION@'
metadata='http://169.254.169.254/latest'
key=/etc/ssh/ssh_host_ed25519_key
case $region in cn-*) domain=amazonaws.com.cn ;; *) domain=amazonaws.com ;; esac

say() { printf '== bastion: %s\n' "$*"; }

# One curl option line per secret, for `curl --config -`.
metadata_token() {
  curl -sf -m 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' "$metadata/api/token"
}
metadata_get() {
  printf 'header = "X-aws-ec2-metadata-token: %s"\n' "$token" |
    curl -sf -m 5 --config - "$metadata/meta-data/$1"
}
as_curl_config() {
  python3 -c '
import json, sys
c = json.load(sys.stdin)
print("user = \"%s:%s\"" % (c["AccessKeyId"], c["SecretAccessKey"]))
print("header = \"X-Amz-Security-Token: %s\"" % c["Token"])
'
}

# Fetches the key into $key.new; says whether what came is a private key.
fetch_key() {
  token=$(metadata_token) || return 1
  role=$(metadata_get iam/security-credentials/) || return 1
  metadata_get "iam/security-credentials/$role" | as_curl_config |
    curl -sf -m 20 --config - --aws-sigv4 "aws:amz:$region:ssm" \
      -H 'Content-Type: application/x-amz-json-1.1' \
      -H 'X-Amz-Target: AmazonSSM.GetParameter' \
      --data "{\"Name\":\"/$cluster/bastion/ssh-host-key\",\"WithDecryption\":true}" \
      "https://ssm.$region.$domain/" |
    python3 -c 'import json, sys; sys.stdout.write(json.load(sys.stdin)["Parameter"]["Value"])' \
      > "$key.new" || return 1
  ssh-keygen -y -P '' -f "$key.new" > "$key.pub.new" 2> /dev/null
}

# IAM and the way out may lag behind the machine by a minute; ten are an error that somebody must see.
deadline=$(($(date +%s) + 600))
until fetch_key; do
  if [ "$(date +%s)" -ge "$deadline" ]; then
    say "no host key within 600 s; sshd stays off"
    exit 1
  fi
  sleep 1
done

rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub
mv "$key.new" "$key"
mv "$key.pub.new" "$key.pub"
chmod 0644 "$key.pub"
cat > /etc/ssh/sshd_config.d/10-etcd-cluster.conf << 'CONF'
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin no
PasswordAuthentication no
KbdInteractiveAuthentication no
AllowAgentForwarding no
X11Forwarding no
CONF
chmod 0644 /etc/ssh/sshd_config.d/10-etcd-cluster.conf

systemctl unmask --runtime ssh.service ssh.socket
systemctl start ssh.service
say "sshd runs with the pinned host key"
