import { DescribeInstanceAttributeCommand, DescribeKeyPairsCommand } from "@aws-sdk/client-ec2";
import { GetInstanceProfileCommand } from "@aws-sdk/client-iam";
import { parsePolicy } from "../front/iam/evaluate.ts";
import type { CredentialStore, TemporaryCredentials } from "../front/credentials.ts";
import type { Records } from "../front/records.ts";
import type { InstanceFacts } from "./metadata.ts";
import type { Snapshot } from "./snapshot.ts";

/** Credentials are made anew when they have less than this left, as AWS does. */
const renewBeforeMs = 10 * 60 * 1000;

/** cloud-init asks for some fifty documents in a second; what they have in common is looked up once. */
const keptMs = 2000;

/** Whether a role lets EC2 machines take it. */
function trustsMachines(document: string | undefined): boolean {
  return parsePolicy(decodeURIComponent(document ?? "{}")).some(
    ({ effect, principals, actions }) =>
      effect === "Allow" &&
      principals?.includes("service:ec2.amazonaws.com") === true &&
      actions.includes("sts:AssumeRole"),
  );
}

/** Facts about instances for the metadata service, from the records the loop has read. */
export class Instances {
  private readonly records: Records;
  private readonly store: CredentialStore;
  private readonly snapshot: () => Snapshot | undefined;
  private readonly cache = new Map<
    string,
    { readonly value: Promise<string | undefined>; readonly until: number }
  >();
  private readonly minted = new Map<string, TemporaryCredentials>();

  constructor(records: Records, store: CredentialStore, snapshot: () => Snapshot | undefined) {
    this.records = records;
    this.store = store;
    this.snapshot = snapshot;
  }

  /** The instance that has this address now. */
  async byAddress(address: string, vpcId?: string): Promise<InstanceFacts | undefined> {
    const snapshot = this.snapshot();
    const instance = snapshot?.ec2.instances.find(
      (one) =>
        one.State?.Name !== "terminated" &&
        (vpcId === undefined || one.VpcId === vpcId) &&
        one.NetworkInterfaces?.some(({ PrivateIpAddress }) => PrivateIpAddress === address),
    );
    if (snapshot === undefined || instance === undefined) return undefined;
    const { region, ec2 } = snapshot;
    const { KeyName } = instance;
    const publicKey =
      KeyName === undefined
        ? undefined
        : await this.kept(`key/${KeyName}`, () => this.publicKey(region, KeyName));
    const profileArn = instance.IamInstanceProfile?.Arn;
    const roleName =
      profileArn === undefined
        ? undefined
        : await this.kept(`role/${profileArn}`, () => this.roleOf(profileArn));
    return {
      region,
      instance,
      vpcCidr: ec2.vpcs.find((vpc) => vpc.VpcId === instance.VpcId)?.CidrBlock ?? "",
      subnetCidrs: Object.fromEntries(
        ec2.subnets.map(({ SubnetId = "", CidrBlock = "" }) => [SubnetId, CidrBlock]),
      ),
      publicAddresses: Object.fromEntries(
        ec2.elasticIps.flatMap(({ NetworkInterfaceId, InstanceId, PublicIp = "" }) => {
          const own =
            NetworkInterfaceId !== undefined && NetworkInterfaceId !== ""
              ? NetworkInterfaceId
              : InstanceId === instance.InstanceId
                ? instance.NetworkInterfaces?.[0]?.NetworkInterfaceId
                : undefined;
          return own === undefined ? [] : [[own, PublicIp]];
        }),
      ),
      ...(publicKey === undefined ? {} : { key: { name: KeyName ?? "", publicKey } }),
      ...(roleName === undefined ? {} : { roleName }),
    };
  }

  /** An instance's user data, decoded. */
  async userData(facts: InstanceFacts): Promise<Buffer | undefined> {
    const { UserData } = await this.records.ec2(facts.region).send(
      new DescribeInstanceAttributeCommand({
        InstanceId: facts.instance.InstanceId,
        Attribute: "userData",
      }),
    );
    const text = UserData?.Value;
    return text === undefined || text === "" ? undefined : Buffer.from(text, "base64");
  }

  /** Credentials of an instance's role: the same until they are nearly over. */
  credentials(facts: InstanceFacts, roleName: string): TemporaryCredentials {
    const instanceId = facts.instance.InstanceId ?? "";
    const key = `${instanceId}/${roleName}`;
    const known = this.minted.get(key);
    if (known !== undefined && known.expiration.getTime() - Date.now() > renewBeforeMs)
      return known;
    const made = this.store.mint({ kind: "role", roleName, instanceId, region: facts.region });
    this.minted.set(key, made);
    return made;
  }

  private async publicKey(region: string, name: string): Promise<string | undefined> {
    const { KeyPairs = [] } = await this.records.ec2(region).send(
      new DescribeKeyPairsCommand({
        Filters: [{ Name: "key-name", Values: [name] }],
        IncludePublicKey: true,
      }),
    );
    return KeyPairs[0]?.PublicKey?.trim();
  }

  /** The role in an instance profile, if it may be taken by machines. */
  private async roleOf(profileArn: string): Promise<string | undefined> {
    const { InstanceProfile } = await this.records
      .iam()
      .send(
        new GetInstanceProfileCommand({ InstanceProfileName: profileArn.split("/").at(-1) ?? "" }),
      );
    const role = InstanceProfile?.Roles?.[0];
    return trustsMachines(role?.AssumeRolePolicyDocument) ? role?.RoleName : undefined;
  }

  private async kept(
    key: string,
    read: () => Promise<string | undefined>,
  ): Promise<string | undefined> {
    const known = this.cache.get(key);
    if (known !== undefined && known.until > Date.now()) return known.value;
    const value = read();
    this.cache.set(key, { value, until: Date.now() + keptMs });
    value.catch(() => this.cache.delete(key));
    return value;
  }
}
