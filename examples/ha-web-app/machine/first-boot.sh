#!/bin/sh
# First boot of a web machine, run once by cloud-init: installs the SSH host key that Pulumi made, lets sshd start, and installs what the
# app needs. The key comes as a SecureString by the machine's own role: user data holds no secret. Credentials go through pipes.
set -eu
umask 077

parameter='@PARAMETER@'
region='@REGION@'
metadata='http://169.254.169.254/latest'
key=/etc/ssh/ssh_host_ed25519_key

# Prints one curl option a line, for `curl --config -`.
credentials() {
  token=$(curl -sf -m 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' "$metadata/api/token") || return 1
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

fetch_key() {
  secret=$(credentials) || return 1
  printf '%s\n' "$secret" |
    curl -sf -m 20 --config - --aws-sigv4 "aws:amz:$region:ssm" \
      -H 'Content-Type: application/x-amz-json-1.1' -H 'X-Amz-Target: AmazonSSM.GetParameter' \
      --data "{\"Name\":\"$parameter\",\"WithDecryption\":true}" "https://ssm.$region.amazonaws.com/" |
    python3 -c 'import json, sys; sys.stdout.write(json.load(sys.stdin)["Parameter"]["Value"])' > "$key.new" || return 1
  ssh-keygen -y -P '' -f "$key.new" > "$key.pub.new" 2> /dev/null
}

# persist WHAT COMMAND...: until it succeeds; roles and ways out may lag behind the machine. Ten minutes are an error.
persist() {
  what=$1
  shift
  end=$(($(date +%s) + 600))
  until "$@"; do
    [ "$(date +%s)" -lt "$end" ] || { echo "== first boot: gave up: $what"; exit 1; }
    sleep 2
  done
}

persist 'the SSH host key' fetch_key
rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub
mv "$key.new" "$key"
mv "$key.pub.new" "$key.pub"
chmod 0644 "$key.pub"
printf '%s\n' 'PermitRootLogin no' 'PasswordAuthentication no' 'KbdInteractiveAuthentication no' \
  > /etc/ssh/sshd_config.d/10-web-app.conf
systemctl unmask --runtime ssh.service ssh.socket
systemctl start ssh.service

umask 022
export DEBIAN_FRONTEND=noninteractive
persist 'the package lists' apt-get -qq update
persist 'the packages' apt-get -qq install --yes --no-install-recommends nginx nodejs
mkdir -p /opt/web-app/releases /opt/web-app/deployments
touch /opt/web-app/ready
echo '== first boot: ready for a deployment'
