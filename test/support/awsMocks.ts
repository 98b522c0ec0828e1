import { createHash } from "node:crypto";

import type { Answers, Outputs } from "./recordingMocks";

/** What AWS, tls and command would answer to the cluster's resources; exactly the types that the component may use. */

/** Hexadecimal digits that depend on a name only. */
function digits(name: string, count: number): string {
  return createHash("sha256").update(name).digest("hex").slice(0, count);
}

/** A certificate's form without its content: tests of wiring need to tell whose it is, not to check signatures. */
export function fakePem(kind: string, name: string): string {
  return `-----BEGIN ${kind}-----\n${Buffer.from(name).toString("base64")}\n-----END ${kind}-----\n`;
}

/** Address of a member's mocked interface; others get a public subnet's. */
export function mockAddress(name: string): string {
  const member = /-m(\d)$/.exec(name)?.[1];
  return member === undefined ? "10.42.128.9" : `10.42.0.1${member}`;
}

const none = () => ({});

/** What a mocked verify prints. */
export function mockVerify(member: string): string {
  return JSON.stringify({
    name: member,
    id: digits(member, 16),
    clusterId: "c1",
    role: member === "m1" ? "leader" : "follower",
    version: "3.6.14",
    revision: 7,
    dbSizeBytes: 20480,
    checkedAt: "2026-11-21T10:00:00Z",
  });
}

/** Mocked resources. */
export const outputs: Outputs = {
  "aws:ec2/vpc:Vpc": none,
  "aws:ec2/subnet:Subnet": none,
  "aws:ec2/internetGateway:InternetGateway": none,
  "aws:ec2/routeTable:RouteTable": none,
  "aws:ec2/route:Route": none,
  "aws:ec2/routeTableAssociation:RouteTableAssociation": none,
  "aws:ec2/eip:Eip": (name) => ({
    allocationId: `eipalloc-${digits(name, 8)}`,
    publicIp: "203.0.113.10",
  }),
  "aws:ec2/natGateway:NatGateway": none,
  "aws:ec2/vpcEndpoint:VpcEndpoint": none,
  "aws:ec2/securityGroup:SecurityGroup": none,
  "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": none,
  "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": none,
  "aws:ec2/networkInterface:NetworkInterface": (name, inputs) => ({
    privateIp: (inputs["privateIps"] as string[] | undefined)?.[0] ?? mockAddress(name),
  }),
  "aws:ec2/launchTemplate:LaunchTemplate": () => ({ latestVersion: 1 }),
  "aws:ec2/instance:Instance": none,
  "aws:ec2/keyPair:KeyPair": none,
  "aws:ebs/volume:Volume": (name) => ({ id: `vol-${digits(name, 17)}` }),
  "aws:autoscaling/group:Group": none,
  "aws:iam/role:Role": none,
  "aws:iam/rolePolicy:RolePolicy": none,
  "aws:iam/instanceProfile:InstanceProfile": none,
  "aws:kms/key:Key": () => ({
    arn: "arn:aws:kms:eu-central-1:123456789012:key/0000",
    keyId: "0000",
  }),
  "aws:kms/alias:Alias": none,
  "aws:ssm/parameter:Parameter": none,
  "aws:s3/bucket:Bucket": (_, inputs) => ({ arn: `arn:aws:s3:::${String(inputs["bucket"])}` }),
  "aws:s3/bucketVersioning:BucketVersioning": none,
  "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": none,
  "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": none,
  "aws:s3/bucketPolicy:BucketPolicy": none,
  "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": none,
  "aws:s3/bucketOwnershipControls:BucketOwnershipControls": none,
  "aws:s3/bucketObjectv2:BucketObjectv2": none,
  "aws:route53/zone:Zone": () => ({ zoneId: "Z1" }),
  "aws:route53/record:Record": none,
  "aws:lb/loadBalancer:LoadBalancer": () => ({
    arn: "arn:balancer",
    dnsName: "etcd-0123456789abcdef.elb.eu-central-1.amazonaws.com",
  }),
  "aws:lb/targetGroup:TargetGroup": () => ({ arn: "arn:targets" }),
  "aws:lb/targetGroupAttachment:TargetGroupAttachment": none,
  "aws:lb/listener:Listener": none,
  "aws:sns/topic:Topic": (_, inputs) => ({
    arn: `arn:aws:sns:eu-central-1:123456789012:${String(inputs["name"])}`,
  }),
  "aws:sns/topicSubscription:TopicSubscription": none,
  "aws:cloudwatch/metricAlarm:MetricAlarm": (_, inputs) => ({
    arn: `arn:aws:cloudwatch:eu-central-1:123456789012:alarm:${String(inputs["name"])}`,
  }),
  "aws:cloudwatch/dashboard:Dashboard": none,
  "tls:index/privateKey:PrivateKey": (name) => ({
    privateKeyPem: fakePem("EC PRIVATE KEY", name),
    privateKeyPemPkcs8: fakePem("PRIVATE KEY", name),
    privateKeyOpenssh: fakePem("OPENSSH PRIVATE KEY", name),
    publicKeyOpenssh: `ssh-ed25519 ${Buffer.from(name).toString("base64")}\n`,
  }),
  "tls:index/certRequest:CertRequest": (name) => ({
    certRequestPem: fakePem("CERTIFICATE REQUEST", name),
  }),
  "tls:index/selfSignedCert:SelfSignedCert": (name) => ({ certPem: fakePem("CERTIFICATE", name) }),
  "tls:index/locallySignedCert:LocallySignedCert": (name) => ({
    certPem: fakePem("CERTIFICATE", name),
  }),
  "pulumi:index:Stash": (_, inputs) => ({ output: inputs["input"] }),
  "command:remote:Command": (name) => {
    const verified = /-(m\d)-verify$/.exec(name)?.[1];
    return { stdout: verified === undefined ? "{}" : mockVerify(verified), stderr: "" };
  },
};

/** Mocked invokes. */
export const answers: Answers = {
  "aws:index/getCallerIdentity:getCallerIdentity": () => ({ accountId: "123456789012" }),
  "aws:index/getRegion:getRegion": () => ({ region: "eu-central-1" }),
  "aws:index/getPartition:getPartition": () => ({ partition: "aws", dnsSuffix: "amazonaws.com" }),
  "aws:ec2/getAmi:getAmi": () => ({ id: "ami-0debian13amd64000" }),
  "aws:ec2/getPrefixList:getPrefixList": () => ({ id: "pl-6ea54007" }),
};
