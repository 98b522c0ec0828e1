import {
  bastionRolePolicy,
  bucketPolicy,
  keyPolicy,
  memberRolePolicy,
  type PolicyDocument,
} from "../../components/plan/iamDocuments";
import { physicalNames } from "../../components/plan/names";
import { Asker } from "#security/questions/question";
import type { CallScope, Names } from "#security/recording";
import type { PoliciesInForce } from "#security/simulator";

/** The cluster whose policies are asked about. */
export const scope: CallScope = {
  accountId: "123456789012",
  region: "eu-central-1",
  cluster: "etcd-dev",
  bucket: "etcd-dev-123456789012-eu-central-1",
  keyId: "11111111-2222-4333-8444-555555555555",
};

/** The member that asks, and another one. */
export const names: Names = { self: "m1", other: "m2", zone: "eu-central-1a" };

/** Documents as plain data, to be asked about as they are or with one clause broken. */
export interface Documents {
  readonly member: PolicyDocument;
  readonly bastion: PolicyDocument;
  readonly bucket: PolicyDocument;
  readonly key: PolicyDocument;
}

/** What the program renders for that cluster. */
export function renderedDocuments(): Documents {
  const { accountId, region, cluster, bucket, keyId } = scope;
  const common = {
    ...{ partition: "aws", accountId, region, cluster },
    keyArn: `arn:aws:kms:${region}:${accountId}:key/${keyId}`,
  };
  const bucketArn = `arn:aws:s3:::${bucket}`;
  return {
    member: memberRolePolicy({ ...common, bucketArn, member: names.self, zone: names.zone }),
    bastion: bastionRolePolicy(common),
    bucket: bucketPolicy(bucketArn),
    key: keyPolicy(common, { region, cluster }),
  };
}

const everything: PolicyDocument = {
  Version: "2012-10-17",
  Statement: [{ Sid: "Everything", Effect: "Allow", Action: "*", Resource: "*" }],
};

const silent: PolicyDocument = { Version: "2012-10-17", Statement: [] };

/** Who an asker is, and what has a say about it. */
export function inForce(asker: Asker, documents: Documents): PoliciesInForce {
  const { accountId, region, cluster } = scope;
  const { bucket, key } = documents;
  const of = (principal: string, role: PolicyDocument | undefined): PoliciesInForce => ({
    ...{ accountId, principal, role, bucket, key },
  });
  const roleArn = (owner: string): string =>
    `arn:aws:iam::${accountId}:role/${physicalNames(cluster, region).role(owner)}`;
  switch (asker) {
    case Asker.member:
      return of(roleArn(names.self), documents.member);
    case Asker.memberAlone:
      return { ...of(roleArn(names.self), documents.member), bucket: silent };
    case Asker.bastion:
      return of(roleArn("bastion"), documents.bastion);
    case Asker.administrator:
      return of(`arn:aws:iam::${accountId}:role/administrator`, everything);
    case Asker.scaling:
      return of(
        `arn:aws:iam::${accountId}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling`,
        undefined,
      );
    case Asker.alarms:
      return of("cloudwatch.amazonaws.com", undefined);
    case Asker.stranger:
      return of("arn:aws:iam::999999999999:role/administrator", everything);
  }
}
