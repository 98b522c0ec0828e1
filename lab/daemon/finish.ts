import { TerminateInstancesCommand, type EC2Client } from "@aws-sdk/client-ec2";

/** Tells moto that machines in shutting-down are really gone (see lab/front/moto/server.py). */
export async function finishTermination(
  ec2: EC2Client,
  instanceIds: readonly string[],
): Promise<void> {
  const command = new TerminateInstancesCommand({ InstanceIds: [...instanceIds] });
  command.middlewareStack.add(
    (next) => (args) => {
      (args.request as { headers: Record<string, string> }).headers["x-lab-finish"] = "1";
      return next(args);
    },
    { step: "build", name: "labFinish" },
  );
  await ec2.send(command);
}
