/** Where a release is copied to, seen from the home of Debian's user. */
export const uploadPath = "/home/admin/web-app.tar.gz";

/** Seconds that a new machine may take for its packages. */
const readySeconds = 600;

/**
 * Runs on a web machine, with the order on standard input: waits until the machine is ready, unpacks the release, which gets its name when
 * it is complete, and lets the release deploy itself. It holds no secret: a failing command is shown whole.
 */
export function deploy(releaseSha256: string): string {
  if (!/^[0-9a-f]{64}$/.test(releaseSha256)) {
    throw new Error(`${JSON.stringify(releaseSha256)} is no SHA-256`);
  }
  return `# Brings this machine to a release of the app.
set -eu
end=$(( $(date +%s) + ${readySeconds} ))
until [ -e /opt/web-app/ready ]; do
  if [ "$(date +%s)" -ge "$end" ]; then
    echo 'the machine did not become ready within ${readySeconds} s:' >&2
    sudo -n tail -n 20 /var/log/cloud-init-output.log >&2
    exit 1
  fi
  sleep 1
done
release=/opt/web-app/releases/${releaseSha256}
if ! [ -d "$release" ]; then
  echo '${releaseSha256}  ${uploadPath}' | sha256sum --check --status
  sudo -n rm -rf "$release.new"
  sudo -n mkdir "$release.new"
  sudo -n tar -xzf ${uploadPath} -C "$release.new" --no-same-owner
  sudo -n mv -T "$release.new" "$release"
fi
exec sudo -n flock --nonblock /run/web-app-deploy.lock /usr/bin/node "$release/lib/deploy.js" "$release"
`;
}
