import { DescribeVpcsCommand } from "@aws-sdk/client-ec2";
import { DescribeKeyCommand } from "@aws-sdk/client-kms";
import { GetHostedZoneCommand } from "@aws-sdk/client-route-53";
import type { Call } from "../call.ts";
import { AwsError } from "../errors.ts";
import type { Records } from "../records.ts";
import { refusing, type Rules } from "../rule.ts";
import { mustMatch } from "./text.ts";

/** Largest value of an SSM parameter in the standard tier. */
const maxParameterBytes = 4096;

async function checkParameter(call: Call, records: Records): Promise<void> {
  const { params, region } = call;
  const name = params.text("Name") ?? "";
  const bad = "ValidationException";
  mustMatch("Name", name, /^[a-zA-Z0-9_.\-/]{1,1011}$/, "letters, digits and _.-/", bad);
  mustMatch("Name", name, /^(?!\/?(?:aws|ssm))/i, "it may not begin with aws or ssm", bad);
  if (name.includes("/") && !name.startsWith("/")) {
    throw new AwsError(
      bad,
      `Parameter name must be a fully qualified name: "${name}" has to begin with a slash.`,
    );
  }
  if (name.split("/").length - 1 > 15) {
    throw new AwsError(
      "HierarchyLevelLimitExceededException",
      `Parameter ${name} has more than 15 levels.`,
    );
  }
  mustMatch(
    "Tier",
    params.text("Tier") ?? "Standard",
    /^Standard$/,
    "the lab has the standard tier",
    bad,
  );
  const bytes = Buffer.byteLength(params.text("Value") ?? "");
  if (bytes > maxParameterBytes) {
    throw new AwsError(
      bad,
      `Standard tier parameters support a maximum parameter value of ${maxParameterBytes} characters; this has ${bytes}.`,
    );
  }
  if (bytes === 0) throw new AwsError(bad, "Parameter values have at least one character.");
  if (params.text("Overwrite") === "true" && params.has("Tags")) {
    throw new AwsError(bad, "Invalid request: tags and overwrite can't be used together.");
  }
  const key = params.text("KeyId");
  if (key === undefined) return;
  if (params.text("Type") !== "SecureString")
    throw new AwsError(bad, "KeyId is required for SecureString type parameters only.");
  try {
    await records.kms(region).send(new DescribeKeyCommand({ KeyId: key }));
  } catch {
    throw new AwsError("InvalidKeyId", `Invalid keyId ${key}`);
  }
}

function checkBucket({ params, request, region }: Call): void {
  const name = params.text("Bucket") ?? "";
  const ok =
    /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name) &&
    !/\.\.|^(\d+\.){3}\d+$|^xn--|^sthree-|^amzn-s3-demo-|-s3alias$|--ol-s3$|\.mrap$|--x-s3$/.test(
      name,
    );
  if (!ok)
    throw new AwsError(
      "InvalidBucketName",
      `The specified bucket is not valid: "${name}" (3 to 63 lower-case letters, digits, dots and hyphens, no reserved prefix or suffix).`,
    );
  const place = /<LocationConstraint>([^<]*)</.exec(request.body.toString())?.[1] ?? "us-east-1";
  if (place !== region) {
    throw new AwsError(
      "IllegalLocationConstraintException",
      `The ${place} location constraint is incompatible for the region specific endpoint this request was sent to.`,
    );
  }
}

async function checkZone(call: Call, records: Records): Promise<void> {
  const { params } = call;
  const root = "CreateHostedZoneRequest";
  mustMatch(
    "Name",
    params.text(`${root}.Name`),
    /^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9-]+\.?$/i,
    "a domain name",
    "InvalidDomainName",
  );
  const vpcId = params.text(`${root}.VPC.VPCId`);
  if (vpcId === undefined)
    throw new AwsError(
      "LabUnknownParameter",
      "The lab has private hosted zones only: a VPC is required.",
    );
  const region = params.text(`${root}.VPC.VPCRegion`) ?? "";
  try {
    await records.ec2(region).send(new DescribeVpcsCommand({ VpcIds: [vpcId] }));
  } catch {
    throw new AwsError(
      "InvalidVPCId",
      `The VPC: ${vpcId} you provided is not authorized to make the association, or does not exist in ${region}.`,
    );
  }
}

async function checkRecords(call: Call, records: Records): Promise<void> {
  const { params } = call;
  const id = params.text("Id") ?? "";
  const { HostedZone } = await records.route53().send(new GetHostedZoneCommand({ Id: id }));
  const zone = (HostedZone?.Name ?? "").replace(/\.$/, "");
  for (const [path, value] of params.entries()) {
    if (/ResourceRecordSet\.Type$/.test(path)) {
      mustMatch(
        "Type",
        value,
        /^(A|CNAME|SRV)$/,
        "the lab's resolver answers A, CNAME and SRV",
        "InvalidInput",
      );
    }
    if (!/ResourceRecordSet\.Name$/.test(path)) continue;
    const name = value.replace(/\.$/, "").toLowerCase();
    if (name !== zone && !name.endsWith(`.${zone}`)) {
      throw new AwsError(
        "InvalidChangeBatch",
        `[RRSet with DNS name ${name}. is not permitted in zone ${zone}.]`,
      );
    }
  }
}

/** Parameters, buckets and names. */
export const storeRules: Rules = {
  "ssm:PutParameter": refusing(checkParameter),
  "s3:CreateBucket": refusing(checkBucket),
  "s3:PutObject": refusing(({ params }) => {
    if (Buffer.byteLength(params.text("Key") ?? "") > 1024)
      throw new AwsError("KeyTooLongError", "Your key is too long");
  }),
  "route53:CreateHostedZone": refusing(checkZone),
  "route53:ChangeResourceRecordSets": refusing(checkRecords),
};
