import * as x509 from "@peculiar/x509";

import { define, type AnyResource } from "../shared/resource.ts";
import { text } from "../shared/schema.ts";
import { subjectNames } from "./certificate.ts";
import { shortHash, signingKey } from "./keys.ts";
import { distinguishedName, names, subject } from "./subject.ts";

/** tls.CertRequest: a request for a certificate, signed with the key it is for. */
export const certRequest: AnyResource<undefined> = define({
  type: "tls:index/certRequest:CertRequest",
  fields: { privateKeyPem: text({ required: true, replaces: true }), subject, ...names },
  computed: ["certRequestPem", "keyAlgorithm"],
  create: async (inputs) => {
    const key = await signingKey(inputs.privateKeyPem, "privateKeyPem");
    const alternatives = subjectNames(inputs);
    const request = await x509.Pkcs10CertificateRequestGenerator.create({
      name: distinguishedName(inputs.subject),
      keys: key.pair,
      signingAlgorithm: key.signing,
      ...(alternatives === undefined ? {} : { extensions: [alternatives] }),
    });
    return {
      id: shortHash(new Uint8Array(request.rawData)),
      outputs: {
        certRequestPem: `${request.toString("pem")}\n`,
        keyAlgorithm: key.algorithm,
      },
    };
  },
  delete: () => Promise.resolve(),
});
