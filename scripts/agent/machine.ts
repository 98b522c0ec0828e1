import { createHash } from "node:crypto";

import { parseMemberConfig, type MemberConfig } from "../../components/plan/memberConfig";
import { storage } from "../../components/plan/storage";
import { awsClients, type AwsClients } from "./aws";
import { Bucket } from "./bucket";
import { readIfThere, writeDurably } from "./files";
import { paths } from "./paths";
import { reasonOf, say } from "./say";

/** What a machine is: the four words that boot.sh left, and the ways to AWS that follow from them. */
export interface Machine {
  readonly cluster: string;
  readonly member: string;
  readonly region: string;
  readonly clients: AwsClients;
  readonly bucket: Bucket;
}

/** A desired state and its hash. */
export interface Desired {
  readonly config: MemberConfig;
  readonly sha256: string;
}

/** Reads what boot.sh left. */
export async function thisMachine(): Promise<Machine> {
  const text = await readIfThere(paths.bootFile);
  if (text === undefined) {
    throw new Error(`${paths.bootFile} is missing: boot.sh has not finished on this machine`);
  }
  const values = new Map(
    text
      .split("\n")
      .filter((line) => line.includes("="))
      .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
  );
  const value = (name: string): string => {
    const found = values.get(name);
    if (found === undefined || found === "") {
      throw new Error(`${paths.bootFile} does not say ${name}`);
    }
    return found;
  };
  const region = value("REGION");
  const clients = awsClients(region);
  return {
    cluster: value("CLUSTER"),
    member: value("MEMBER"),
    region,
    clients,
    bucket: new Bucket(clients, value("BUCKET")),
  };
}

/**
 * The document of a desired state by its hash: from the copy on this machine, or once from the bucket. These are the very bytes that were
 * asked for; what they mean is another question.
 */
export async function desiredText(machine: Machine, sha256: string): Promise<string> {
  const copy = `${paths.configs}/${sha256}.json`;
  const kept = await readIfThere(copy);
  if (kept !== undefined && hashOf(kept) === sha256) {
    return kept;
  }
  const text = (await machine.bucket.get(storage.config(machine.member, sha256)))?.text;
  if (text === undefined) {
    throw new Error(`the bucket has no desired state ${sha256} for ${machine.member}`);
  }
  if (hashOf(text) !== sha256) {
    throw new Error(`the desired state named ${sha256} has the hash ${hashOf(text)}`);
  }
  await writeDurably(copy, text);
  return text;
}

const hashOf = (text: string): string => createHash("sha256").update(text).digest("hex");

/** A desired state by its hash. */
export async function desiredState(machine: Machine, sha256: string): Promise<Desired> {
  const config = parseMemberConfig(await desiredText(machine, sha256), sha256);
  if (config.cluster !== machine.cluster || config.member !== machine.member) {
    throw new Error(
      `the desired state is for ${config.member} of ${config.cluster}, this is ${machine.member} of ${machine.cluster}`,
    );
  }
  return { config, sha256 };
}

/** The approved desired state: what the pointer in the bucket says, or what it said last when the bucket cannot be asked. */
export async function approvedState(machine: Machine): Promise<Desired> {
  let sha256: string | undefined;
  try {
    sha256 = (await machine.bucket.get(storage.approved(machine.member)))?.text.trim();
  } catch (error) {
    say(`the approved desired state cannot be asked for, taking the last one: ${reasonOf(error)}`);
  }
  sha256 ??= (await readIfThere(paths.approved))?.trim();
  if (sha256 === undefined || !/^[0-9a-f]{64}$/.test(sha256)) {
    throw new Error("there is no approved desired state");
  }
  const desired = await desiredState(machine, sha256);
  await writeDurably(paths.approved, `${sha256}\n`);
  return desired;
}

/** Moves the pointer to another desired state: from then on every machine of this member boots with that. */
export async function approve(machine: Machine, sha256: string): Promise<void> {
  await machine.bucket.replace(storage.approved(machine.member), `${sha256}\n`);
  await writeDurably(paths.approved, `${sha256}\n`);
}
