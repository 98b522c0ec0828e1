import * as x509 from "@peculiar/x509";

import { UserError } from "../shared/errors.ts";
import { define, type AnyResource } from "../shared/resource.ts";
import { flag, text } from "../shared/schema.ts";
import {
  certificateDefaults,
  certificateFields,
  certificateOutputs,
  renewal,
  reread,
  sign,
  subjectNames,
  validateCertificate,
} from "./certificate.ts";
import { signingKey } from "./keys.ts";
import { distinguishedName, names, subject } from "./subject.ts";

/** tls.SelfSignedCert: a certificate that its own key signs, as an authority's is. */
export const selfSignedCert: AnyResource<undefined> = define({
  type: "tls:index/selfSignedCert:SelfSignedCert",
  fields: {
    ...certificateFields,
    privateKeyPem: text({ required: true, replaces: true }),
    setAuthorityKeyId: flag({ replaces: true }),
    subject,
    ...names,
  },
  computed: [...certificateOutputs, "keyAlgorithm"],
  normalize: (inputs) => ({ ...certificateDefaults, setAuthorityKeyId: false, ...inputs }),
  validate: validateCertificate,
  hiddenChange: renewal,
  create: async (inputs) => {
    const key = await signingKey(inputs.privateKeyPem, "privateKeyPem");
    const name = distinguishedName(inputs.subject);
    if (inputs.isCaCertificate === true && name.length === 0) {
      throw new UserError("Unable to create an authority's certificate: its subject is empty");
    }
    const subjectName = new x509.Name(name);
    const { id, outputs } = await sign({
      inputs,
      subject: subjectName,
      issuer: subjectName,
      publicKey: await x509.PublicKey.create(key.pair.publicKey),
      signer: key,
      ownAuthorityKeyId: inputs.setAuthorityKeyId === true,
      alternatives: subjectNames(inputs),
    });
    return { id, outputs: { ...outputs, keyAlgorithm: key.algorithm } };
  },
  read: reread,
  update: ({ state, news }) =>
    reread("", { ...state, earlyRenewalHours: news.earlyRenewalHours ?? 0 }),
  delete: () => Promise.resolve(),
});
