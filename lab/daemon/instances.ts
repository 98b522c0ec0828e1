import { DescribeInstanceAttributeCommand, DescribeKeyPairsCommand } from "@aws-sdk/client-ec2";
import { GetInstanceProfileCommand } from "@aws-sdk/client-iam";
import type { CredentialStore, TemporaryCredentials } from "../front/credentials.ts";
import type { Records } from "../front/records.ts";
import type { InstanceFacts } from "./metadata.ts";
import type { Snapshot } from "./snapshot.ts";

/** Credentials are made anew when they have less than this left, as AWS does. */
const renewBeforeMs = 10 * 60 * 1000;

/** Facts about instances for the metadata service, from the records the loop has read. */
export class Instances {
  private readonly records: Records;
  private readonly store: CredentialStore;
  private readonly snapshot: () => Snapshot | undefined;
  private readonly minted = new Map<string, TemporaryCredentials>();

  constructor(records: Records, store: CredentialStore, snapshot: () => Snapshot | undefined) {
    this.records = records;
    this.store = store;
    this.snapshot = snapshot;
  }

  /** The instance that has this address now. */
  async byAddress(address: string): Promise<InstanceFacts | undefined> {
    const snapshot = this.snapshot();
    const instance = snapshot?.ec2.instances.find(
      (one) =>
        one.State?.Name !== "terminated" &&
        one.NetworkInterfaces?.some(({ PrivateIpAddress }) => PrivateIpAddress === address),
    );
    if (snapshot === undefined || instance === undefined) return undefined;
    const { region, ec2 } = snapshot;
    const publicKey =
      instance.KeyName === undefined ? undefined : await this.publicKey(region, instance.KeyName);
    const roleName = await this.roleOf(instance.IamInstanceProfile?.Arn);
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
      ...(publicKey === undefined ? {} : { key: { name: instance.KeyName ?? "", publicKey } }),
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

  private async roleOf(profileArn: string | undefined): Promise<string | undefined> {
    if (profileArn === undefined) return undefined;
    const { InstanceProfile } = await this.records
      .iam()
      .send(
        new GetInstanceProfileCommand({ InstanceProfileName: profileArn.split("/").at(-1) ?? "" }),
      );
    return InstanceProfile?.Roles?.[0]?.RoleName;
  }
}
