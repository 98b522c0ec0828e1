import {
  altered,
  each,
  having,
  ofType,
  type Control,
  type Resource,
} from "#security/controls/control";
import { says, type, type Declared } from "#security/controls/declared";

function userDataOf({ inputs }: Resource): string {
  const encoded = inputs["userData"] ?? inputs["userDataBase64"];
  return typeof encoded === "string" ? Buffer.from(encoded, "base64").toString() : "";
}

const userData = (text: string) =>
  altered(type.template, "userData", Buffer.from(text).toString("base64"));

/** Machines. */
export const machines: readonly Control<Declared>[] = [
  {
    id: "imds-v2",
    what: "the metadata service answers with a session token only, on machines of members and bastion",
    sources: ["CT.EC2.PR.1", "EC2.8", "EC2.170"],
    check: (resources) =>
      each(resources, [type.template, type.instance], {
        "httpTokens required": (one) => says(one, "metadataOptions.httpTokens") === "required",
      }),
    mutants: {
      "a template without": altered(type.template, "metadataOptions.httpTokens", "optional"),
      "a bastion without": altered(type.instance, "metadataOptions.httpTokens", "optional"),
      "a template that says nothing": altered(type.template, "metadataOptions", undefined),
    },
  },
  {
    id: "imds-hop-limit",
    what: "the metadata service's answers go no further than the machine itself (hop limit 1)",
    sources: ["CT.EC2.PR.2"],
    check: (resources) =>
      each(resources, [type.template, type.instance], {
        "one hop": (one) => says(one, "metadataOptions.httpPutResponseHopLimit") === "1",
      }),
    mutants: {
      "two hops for a member": altered(type.template, "metadataOptions.httpPutResponseHopLimit", 2),
      "two hops for the bastion": altered(
        type.instance,
        "metadataOptions.httpPutResponseHopLimit",
        2,
      ),
    },
  },
  {
    id: "no-public-address",
    what: "no member has a public address: no subnet gives any, no template asks for one, and the one elastic address of a machine is the bastion's",
    sources: ["CT.EC2.PR.8", "CT.EC2.PR.9", "EC2.9", "EC2.25", "DESIGN 3"],
    check: (resources) => [
      ...each(resources, [type.template], {
        "without a public address": (one) =>
          !/true/.test(says(one, "networkInterfaces.0.associatePublicIpAddress")),
      }),
      ...ofType(resources, type.subnet)
        .filter((one) => one.inputs["mapPublicIpOnLaunch"] !== false)
        .map(({ name }) => `subnet ${name} gives public addresses`),
      ...ofType(resources, type.address)
        .filter(
          ({ name, inputs }) => inputs["networkInterface"] !== undefined && !/bastion$/.test(name),
        )
        .map(({ name }) => `the address ${name} is not the bastion's`),
    ],
    mutants: {
      "a template that asks for one": altered(
        type.template,
        "networkInterfaces.0.associatePublicIpAddress",
        "true",
      ),
      "a subnet that gives them": altered(type.subnet, "mapPublicIpOnLaunch", true),
      "an elastic address for a member": having({
        type: type.address,
        name: "etcd-m1",
        inputs: { networkInterface: "etcd-m1-id" },
      }),
    },
  },
  {
    id: "no-key-in-user-data",
    what: "user data holds no key, certificate, password or token, and names nothing but cluster, member, bucket and region",
    sources: ["DESIGN 3"],
    check: (resources) =>
      each(resources, [type.template, type.instance], {
        there: (one) => userDataOf(one).length > 1000,
        "without key material": (one) =>
          !/-----BEGIN|PRIVATE KEY|A[KS]IA[A-Z0-9]{16}|[Pp]assword\s*[:=]/.test(userDataOf(one)),
        "without long secrets": (one) => !/[A-Za-z0-9+/]{80,}/.test(userDataOf(one)),
      }),
    mutants: {
      "a key": userData(`${"#".repeat(1001)}\n-----BEGIN PRIVATE KEY-----\nAAAA\n`),
      "an access key": userData(
        `${"# \n".repeat(400)}\nexport AWS_ACCESS_KEY_ID=AKIAABCDEFGHIJKLMNOP\n`,
      ),
      "something long": userData(`${"# \n".repeat(400)}\n${"Ab1+".repeat(30)}\n`),
      "a password": userData(`${"# \n".repeat(400)}\nPassword: x\n`),
    },
  },
  {
    id: "no-secret-in-commands",
    what: "no remote command has a key in its text or environment",
    sources: ["DESIGN 7"],
    check: (resources) =>
      each(resources, [type.command], {
        "without a key": (one) =>
          !JSON.stringify({ ...one.inputs, connection: undefined }).includes("PRIVATE KEY"),
      }),
    mutants: {
      "a key in the text": altered(type.command, "create", "echo '-----BEGIN PRIVATE KEY-----'"),
      "a key in the environment": altered(type.command, "environment", {
        KEY: "-----BEGIN EC PRIVATE KEY-----",
      }),
    },
  },
];
