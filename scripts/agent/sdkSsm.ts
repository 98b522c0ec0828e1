/** What the agent uses of the parameter store's client, by name. Loaded when first used. */
export { GetParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
