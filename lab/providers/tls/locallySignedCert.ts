import * as x509 from "@peculiar/x509";

import { UserError } from "../shared/errors.ts";
import { define, type AnyResource } from "../shared/resource.ts";
import { text } from "../shared/schema.ts";
import {
  certificateDefaults,
  certificateFields,
  certificateOutputs,
  renewal,
  reread,
  sign,
  validateCertificate,
} from "./certificate.ts";
import { signingKey } from "./keys.ts";

const subjectAlternativeName = "2.5.29.17";

/** tls.LocallySignedCert: a certificate for a request, signed by an authority whose key is at hand. */
export const locallySignedCert: AnyResource<undefined> = define({
  type: "tls:index/locallySignedCert:LocallySignedCert",
  fields: {
    ...certificateFields,
    certRequestPem: text({ required: true, replaces: true }),
    caCertPem: text({ required: true, replaces: true }),
    caPrivateKeyPem: text({ required: true, replaces: true }),
  },
  computed: [...certificateOutputs, "caKeyAlgorithm"],
  normalize: (inputs) => ({ ...certificateDefaults, ...inputs }),
  validate: validateCertificate,
  hiddenChange: renewal,
  create: async (inputs) => {
    const authorityKey = await signingKey(inputs.caPrivateKeyPem, "caPrivateKeyPem");
    const authority = parse("caCertPem", () => new x509.X509Certificate(inputs.caCertPem));
    const request = parse(
      "certRequestPem",
      () => new x509.Pkcs10CertificateRequest(inputs.certRequestPem),
    );
    if (!(await request.verify())) {
      throw new UserError("certRequestPem: the request is not signed by the key it is for");
    }
    const { id, outputs } = await sign({
      inputs,
      subject: request.subjectName,
      issuer: authority.subjectName,
      publicKey: request.publicKey,
      signer: authorityKey,
      authorityKeyId: authority.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId,
      alternatives: request.getExtension(subjectAlternativeName) ?? undefined,
    });
    return { id, outputs: { ...outputs, caKeyAlgorithm: authorityKey.algorithm } };
  },
  read: reread,
  update: ({ state, news }) =>
    reread("", { ...state, earlyRenewalHours: news.earlyRenewalHours ?? 0 }),
  delete: () => Promise.resolve(),
});

function parse<T>(argument: string, parser: () => T): T {
  try {
    return parser();
  } catch {
    throw new UserError(`${argument}: not in the expected PEM form`);
  }
}
