import { at, type Resource } from "#security/controls/control";

/** Everything that a program declares. */
export type Declared = readonly Resource[];

/** Types of resources that controls speak of. */
export const type = {
  template: "aws:ec2/launchTemplate:LaunchTemplate",
  instance: "aws:ec2/instance:Instance",
  networkInterface: "aws:ec2/networkInterface:NetworkInterface",
  subnet: "aws:ec2/subnet:Subnet",
  address: "aws:ec2/eip:Eip",
  volume: "aws:ebs/volume:Volume",
  ingress: "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
  egress: "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
  group: "aws:ec2/securityGroup:SecurityGroup",
  rolePolicy: "aws:iam/rolePolicy:RolePolicy",
  role: "aws:iam/role:Role",
  key: "aws:kms/key:Key",
  parameter: "aws:ssm/parameter:Parameter",
  bucket: "aws:s3/bucket:Bucket",
  bucketPolicy: "aws:s3/bucketPolicy:BucketPolicy",
  bucketAccess: "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
  bucketOwnership: "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
  bucketVersioning: "aws:s3/bucketVersioning:BucketVersioning",
  bucketEncryption:
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
  lifecycle: "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
  topic: "aws:sns/topic:Topic",
  logs: "aws:cloudwatch/logGroup:LogGroup",
  balancer: "aws:lb/loadBalancer:LoadBalancer",
  command: "command:remote:Command",
} as const;

export /** The value at a path, as text. */
const says = (resource: Resource, path: string): string => String(at(resource.inputs, path));
/** Whether a value names a key of our own, rather than one of AWS's. */
export const isKey = (value: unknown): boolean => /^arn:aws[a-z-]*:kms:/.test(String(value));
