/** What the agent uses of CloudWatch's client, by name. Loaded when first used. */
export { CloudWatchClient, PutMetricDataCommand } from "@aws-sdk/client-cloudwatch";
