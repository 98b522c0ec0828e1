import { connect } from "node:net";

import images from "../../front/moto/images.json" with { type: "json" };

import { defineInvoke, type AnyInvoke } from "../shared/resource.ts";
import { flag, list, object, set, text } from "../shared/schema.ts";
import { given, single } from "./awsResource.ts";
import { arn, type Aws } from "./environment.ts";

/** Letters of the zones that every region has in the lab. */
const zoneLetters = ["a", "b", "c"];

const filters = set(
  object({ name: text({ required: true }), values: list(text(), { required: true }) }),
);

const callerIdentity = defineInvoke({
  token: "aws:index/getCallerIdentity:getCallerIdentity",
  fields: {},
  call: (_inputs, aws: Aws) =>
    Promise.resolve({
      id: aws.accountId,
      accountId: aws.accountId,
      userId: "AIDALABADMIN000000000",
      arn: `arn:${aws.partition}:iam::${aws.accountId}:user/lab-admin`,
    }),
});

const region = defineInvoke({
  token: "aws:index/getRegion:getRegion",
  fields: {},
  call: (_inputs, { region: name }: Aws) =>
    Promise.resolve({
      id: name,
      name,
      region: name,
      description: `${name} (lab)`,
      endpoint: `ec2.${name}.amazonaws.com`,
    }),
});

const partition = defineInvoke({
  token: "aws:index/getPartition:getPartition",
  fields: {},
  call: (_inputs, aws: Aws) =>
    Promise.resolve({
      id: aws.partition,
      partition: aws.partition,
      dnsSuffix: "amazonaws.com",
      reverseDnsPrefix: "com.amazonaws",
    }),
});

const availabilityZones = defineInvoke({
  token: "aws:index/getAvailabilityZones:getAvailabilityZones",
  fields: { state: text(), filters },
  call: (_inputs, aws: Aws) =>
    Promise.resolve({
      id: aws.region,
      region: aws.region,
      state: "available",
      names: zoneLetters.map((letter) => `${aws.region}${letter}`),
      zoneIds: zoneLetters.map((_letter, index) => `${zoneIdPrefix(aws.region)}-az${index + 1}`),
      groupNames: [aws.region],
    }),
});

/** `euc1` for eu-central-1 */
function zoneIdPrefix(name: string): string {
  const [area = "", direction = "", number = ""] = name.split("-");
  return `${area}${direction.slice(0, 1)}${number}`;
}

const ami = defineInvoke({
  token: "aws:ec2/getAmi:getAmi",
  fields: {
    mostRecent: flag(),
    owners: list(text()),
    nameRegex: text(),
    includeDeprecated: flag(),
    allowUnsafeFilter: flag(),
    filters,
  },
  call: (inputs, aws: Aws) => {
    const owners = inputs.owners ?? [];
    const found = images
      .filter(({ owner_id }) => owners.length === 0 || owners.includes(owner_id))
      .filter(
        (image) => inputs.nameRegex === undefined || RegExp(inputs.nameRegex).test(image.name),
      )
      .filter((image) => (inputs.filters ?? []).every((one) => matches(image, one)))
      .toSorted((left, right) => right.creation_date.localeCompare(left.creation_date));
    const image = found[0];
    if (image === undefined) {
      throw new Error(
        "Your query returned no results. Please change your search criteria and try again.",
      );
    }
    if (found.length > 1 && inputs.mostRecent !== true) {
      throw new Error(
        "Your query returned more than one result. Please try a more specific search criteria, or set `mostRecent` to true.",
      );
    }
    return Promise.resolve({
      id: image.ami_id,
      imageId: image.ami_id,
      arn: `arn:${aws.partition}:ec2:${aws.region}::image/${image.ami_id}`,
      name: image.name,
      description: image.description,
      architecture: image.architecture,
      creationDate: image.creation_date,
      ownerId: image.owner_id,
      imageLocation: image.image_location,
      rootDeviceName: image.root_device_name,
      rootDeviceType: image.root_device_type,
      virtualizationType: image.virtualization_type,
      hypervisor: image.hypervisor,
      state: image.state,
      public: image.public,
      region: aws.region,
    });
  },
});

/** EC2's filters of images, and what they look at. */
function matches(
  image: (typeof images)[number],
  { name, values }: { name: string; values: readonly string[] },
): boolean {
  const facts: Readonly<Record<string, string>> = {
    name: image.name,
    architecture: image.architecture,
    "image-id": image.ami_id,
    "owner-id": image.owner_id,
    "root-device-type": image.root_device_type,
    state: image.state,
    "virtualization-type": image.virtualization_type,
  };
  const fact = facts[name];
  if (fact === undefined) {
    throw new Error(`aws:ec2/getAmi:getAmi: filter ${name} is not known to the lab`);
  }
  return values.some((pattern) => wildcard(pattern).test(fact));
}

function wildcard(pattern: string): RegExp {
  const escaped = pattern.replace(/[.+^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`^${escaped.replaceAll("*", ".*").replaceAll("?", ".")}$`);
}

/** A prefix list's id is AWS's to choose. Without a lab there is none yet, and a preview is answered with a stand-in. */
async function prefixList(aws: Aws, name: string): Promise<{ id: string; cidrs: string[] }> {
  if (!(await labAnswers(aws))) {
    return { id: "pl-00000000", cidrs: [] };
  }
  const ec2 = await aws.ec2();
  const { PrefixLists } = await ec2.describePrefixLists({
    Filters: [{ Name: "prefix-list-name", Values: [name] }],
  });
  const found = given(single(PrefixLists), `which prefix list is named ${name}`);
  return { id: found.PrefixListId ?? "", cidrs: found.Cidrs ?? [] };
}

const getPrefixList = defineInvoke({
  token: "aws:ec2/getPrefixList:getPrefixList",
  fields: { name: text({ required: true }) },
  call: async ({ name }, aws: Aws) => {
    const { id, cidrs } = await prefixList(aws, name);
    return { id, name, cidrBlocks: cidrs, region: aws.region };
  },
});

const getManagedPrefixList = defineInvoke({
  token: "aws:ec2/getManagedPrefixList:getManagedPrefixList",
  fields: { name: text({ required: true }) },
  call: async ({ name }, aws: Aws) => {
    const { id, cidrs } = await prefixList(aws, name);
    return {
      id,
      name,
      arn: arn(aws, "ec2", `prefix-list/${id}`),
      entries: cidrs.map((cidr) => ({ cidr, description: "" })),
      region: aws.region,
    };
  },
});

/** Whether anything listens at the lab's endpoint. */
function labAnswers(aws: Aws): Promise<boolean> {
  const { hostname, port } = new URL(aws.endpoint);
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port) }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => {
      resolve(false);
    });
  });
}

/** The functions of the aws package that the program calls. */
export const invokes: readonly AnyInvoke<Aws>[] = [
  callerIdentity,
  region,
  partition,
  availabilityZones,
  ami,
  getPrefixList,
  getManagedPrefixList,
];
