import { readFile } from "node:fs/promises";
import { connect, type DetailedPeerCertificate } from "node:tls";

import { authoritiesStepProblem } from "../../components/plan/authorities";
import type { MemberConfig } from "../../components/plan/memberConfig";
import { ports } from "../../components/plan/ports";
import { describeProblem } from "../../components/plan/problems";
import { Refusal } from "./deadline";
import { paths } from "./paths";
import { serialsOf } from "./pki";
import type { ClusterRecord } from "./record";

/** Milliseconds for a handshake. */
const handshakeMs = 5000;

/** A step of the exchange of authorities that leaves one out, or goes back behind a dropped one, is refused here as well. */
export function refuseAuthorities(old: MemberConfig, desired: MemberConfig): void {
  const problem = authoritiesStepProblem(
    old.certificates.authorities,
    desired.certificates.authorities,
  );
  if (problem !== undefined) {
    throw new Refusal(`${desired.member}: ${describeProblem(problem)}`);
  }
}

/**
 * An authority is dropped only when no member shows a certificate of it any more: whoever still had one would be turned away by this
 * member. What members show is asked of them, not read in any document.
 */
export async function refuseDropping(
  old: MemberConfig,
  desired: MemberConfig,
  { roster }: Pick<ClusterRecord, "roster">,
): Promise<void> {
  const before = new Set(serialsOf(old.certificates.revoked));
  const dropped = serialsOf(desired.certificates.revoked).filter((serial) => !before.has(serial));
  if (dropped.length === 0) {
    return;
  }
  // What this member shows afterwards is in the desired state; its own etcd may be down.
  for (const { name, address } of roster.filter(({ name: each }) => each !== desired.member)) {
    for (const [port, pair] of shown) {
      const serials = await shownBy(address, port, pair).catch((error: unknown) => {
        throw new Error(
          `${desired.member}: an authority is dropped only when all members are known to have done with it, and ${name} does not answer`,
          { cause: error },
        );
      });
      if (serials.some((serial) => dropped.includes(serial))) {
        throw new Refusal(
          `${desired.member}: ${name} still shows a certificate on port ${port} that was signed by an authority which is to be dropped: every member has to have reached ${old.certificates.authorities} first; set certificateAuthorities to ${old.certificates.authorities} and run \`pulumi up\``,
        );
      }
    }
  }
}

const { serverCertificate, serverKey, peerCertificate, peerKey } = paths.pkiFiles;
/** Where members show certificates, and which pair of ours they let in. */
const shown: readonly (readonly [number, Pair])[] = [
  [ports.client, { certificate: serverCertificate, key: serverKey }],
  [ports.peer, { certificate: peerCertificate, key: peerKey }],
];

interface Pair {
  readonly certificate: string;
  readonly key: string;
}

/** Serial numbers of the certificates that somebody shows; whether they are to be trusted is not asked. */
async function shownBy(address: string, port: number, pair: Pair): Promise<string[]> {
  const [cert, key] = await Promise.all([readFile(pair.certificate), readFile(pair.key)]);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port, cert, key, rejectUnauthorized: false }, () => {
      resolve(chain(socket.getPeerCertificate(true)));
      socket.end();
    });
    socket.setTimeout(handshakeMs, () => socket.destroy(new Error("no handshake in time")));
    socket.on("error", reject);
  });
}

/** Serial numbers of a certificate and those above it. Node lets the last one be its own issuer, or have none. */
function chain(first: Partial<DetailedPeerCertificate>): string[] {
  const serials: string[] = [];
  let each: Partial<DetailedPeerCertificate> | undefined = first;
  while (each?.serialNumber !== undefined && !serials.includes(each.serialNumber)) {
    serials.push(each.serialNumber);
    each = each.issuerCertificate;
  }
  return serials;
}
