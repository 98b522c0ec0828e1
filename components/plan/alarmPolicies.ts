import type { PolicyDocument, Scope, Statement } from "./iamDocuments";
import { physicalNames } from "./names";

/** What CloudWatch's alarms need on their way to people. */

/** That CloudWatch speaks for an alarm of this cluster, and not for somebody else's. */
function ofItsAlarms({
  partition,
  region,
  accountId,
  cluster,
}: Scope): NonNullable<Statement["Condition"]> {
  return {
    StringEquals: { "aws:SourceAccount": accountId },
    ArnLike: {
      "aws:SourceArn": `arn:${partition}:cloudwatch:${region}:${accountId}:alarm:${cluster}-*`,
    },
  };
}

/** Part of the policy of the key with which the topic is encrypted. Without it, alarms are lost without a word. */
export function keyForAlarms(scope: Scope): Statement {
  return {
    Sid: "AlarmsReachTheEncryptedTopic",
    Effect: "Allow",
    Principal: { Service: "cloudwatch.amazonaws.com" },
    Action: ["kms:Decrypt", "kms:GenerateDataKey"],
    Resource: "*",
    Condition: ofItsAlarms(scope),
  };
}

/** The policy of the topic of a cluster's alarms: they publish, nobody else; whoever the account's own policies admit subscribes. */
export function alarmTopicPolicy(scope: Scope): PolicyDocument {
  const { partition, region, accountId, cluster } = scope;
  const topic = `arn:${partition}:sns:${region}:${accountId}:${physicalNames(cluster, region).topic}`;
  return {
    Version: "2012-10-17",
    Statement: [
      {
        Sid: "AlarmsPublish",
        Effect: "Allow",
        Principal: { Service: "cloudwatch.amazonaws.com" },
        Action: "sns:Publish",
        Resource: topic,
        Condition: ofItsAlarms(scope),
      },
      {
        Sid: "TlsOnly",
        Effect: "Deny",
        Principal: "*",
        Action: "sns:Publish",
        Resource: topic,
        Condition: { Bool: { "aws:SecureTransport": "false" } },
      },
    ],
  };
}
