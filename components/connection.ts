import * as pulumi from "@pulumi/pulumi";

import type { IssuedCertificate } from "./tlsAuthority";

/** All that a client needs, as it hands it to its library. */
export interface EtcdConnection {
  /** `https://<address>:2379` of every member; a client that knows all of them outlives any of them. */
  endpoints: string[];
  /** The same cluster through the balancer, for clients that can have only one. */
  loadBalancerEndpoint: string;
  /** Authorities by which the members are checked, PEM: one, or two while one is exchanged for another. */
  caCertificate: string;
  /** The client's certificate with that of its authority, PEM. */
  certificate: string;
  /** The key of the client's certificate, PEM (PKCS 8). */
  key: string;
}

/** Where a cluster is reached, and by whom its members are certified. */
export interface ClientWay {
  clientEndpoints: pulumi.Output<string[]>;
  loadBalancerEndpoint: pulumi.Output<string>;
  caCertificate: pulumi.Output<string>;
}

/** The connection of whoever has a certificate. It is secret as a whole, because the key in it is. */
export function connectionOf(
  way: ClientWay,
  issued: IssuedCertificate,
): pulumi.Output<EtcdConnection> {
  const parts = pulumi.all([
    way.clientEndpoints,
    way.loadBalancerEndpoint,
    way.caCertificate,
    issued.certificatePem,
    issued.privateKeyPem,
  ]);
  return pulumi.secret(
    parts.apply(([endpoints, loadBalancerEndpoint, caCertificate, certificate, key]) => ({
      ...{ endpoints, loadBalancerEndpoint, caCertificate, certificate, key },
    })),
  );
}
