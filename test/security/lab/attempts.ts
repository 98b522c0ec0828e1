import { inside } from "../../lab/support.ts";

/** What somebody with a shell on a machine tries: connections, and AWS calls with the machine's own credentials. */

/** How a connection attempt ended: `dropped` is what a security group does, `refused` that nobody listens. */
export type Ending = "open" | "refused" | "dropped";

/** Tries to connect from inside a machine. */
export async function connect(pid: number, address: string, port: number): Promise<Ending> {
  const script = 'exec 3<>"/dev/tcp/$1/$2"';
  const { code } = await inside(
    pid,
    ["timeout", "4", "bash", "-c", script, "bash", address, String(port)],
    { timeoutSeconds: 15 },
  );
  // 124 is timeout's own code.
  return code === 0 ? "open" : code === 124 ? "dropped" : "refused";
}

const credentials = [
  "md=http://169.254.169.254/latest",
  'token=$(curl -sf -m 5 -X PUT -H "X-aws-ec2-metadata-token-ttl-seconds: 60" $md/api/token)',
  'get() { curl -sf -m 5 -H "X-aws-ec2-metadata-token: $token" "$md/meta-data/$1"; }',
  "role=$(get iam/security-credentials/)",
  'get "iam/security-credentials/$role" | python3 -c \'',
  "import json, sys",
  "c = json.load(sys.stdin)",
  'print("user = \\"%s:%s\\"" % (c["AccessKeyId"], c["SecretAccessKey"]))',
  'print("header = \\"X-Amz-Security-Token: %s\\"" % c["Token"])',
  "'",
].join("\n");

/** Makes a signed call from inside a machine with the role's own credentials; answers HTTP's status and the body's beginning. */
export async function callAws(
  pid: number,
  service: string,
  region: string,
  curl: readonly string[],
): Promise<string> {
  const script = `set -eu\n(${credentials}) | curl -s -m 20 -K - --aws-sigv4 "aws:amz:$1:$2" -w '\\n%{http_code}' "\${@:3}"`;
  const { stdout, stderr } = await inside(
    pid,
    ["bash", "-c", script, "bash", region, service, ...curl],
    {
      timeoutSeconds: 40,
    },
  );
  const lines = stdout.trim().split("\n");
  return `${lines.at(-1) ?? ""} ${lines.slice(0, -1).join(" ").slice(0, 400)}${stderr}`;
}
