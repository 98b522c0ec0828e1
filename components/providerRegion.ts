import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";

import { describeProblems, type Problem } from "./plan/problems";

/**
 * The region of the AWS provider that a component's resources will use, where the program can know it before it asks AWS: with the default
 * provider, whose region is in the config or the environment. A provider of its own knows its region only as an output.
 */
export function knownRegion(component: pulumi.ComponentResource): string | undefined {
  return component.getProvider("aws:index:getRegion") === undefined ? aws.config.region : undefined;
}

/** What is wrong with a region that is not the provider's. */
export function regionProblems(asked: string, provided: string | undefined): Problem[] {
  return provided === undefined || provided === asked
    ? []
    : [
        {
          path: "region",
          value: asked,
          rule: `the AWS provider in use is for ${provided}, so that everything would be built there under names and policies for ${asked}`,
          remedy: `set region to ${provided}, or give the component a provider for ${asked}`,
        },
      ];
}

/** A value that is there only if the provider's region is the one that was asked for. It asks AWS's provider where it cannot be known. */
export function inRegion<T>(
  value: pulumi.Output<T>,
  asked: string,
  known: string | undefined,
  inside: pulumi.InvokeOptions,
): pulumi.Output<T> {
  if (known !== undefined) {
    return value;
  }
  return pulumi.all([value, aws.getRegionOutput({}, inside).region]).apply(([result, provided]) => {
    const problems = regionProblems(asked, provided);
    if (problems.length > 0) {
      throw new pulumi.RunError(describeProblems(problems));
    }
    return result;
  }) as pulumi.Output<T>;
}
