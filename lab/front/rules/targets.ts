import { DescribeVpcsCommand } from "@aws-sdk/client-ec2";
import {
  DescribeTargetGroupAttributesCommand,
  DescribeTargetGroupsCommand,
  DescribeTargetHealthCommand,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import type { Answer, Call } from "../call.ts";
import { contains, parseCidr } from "../cidr.ts";
import { AwsError } from "../errors.ts";
import type { Params } from "../params.ts";
import type { Records } from "../records.ts";
import type { RuleContext, Rules } from "../rule.ts";
import { queryAnswer } from "../xml.ts";

/** Why a target is in a state, as AWS names it. */
const reasons: Readonly<Record<string, string>> = {
  initial: "Elb.InitialHealthChecking",
  unhealthy: "Target.FailedHealthChecks",
  draining: "Target.DeregistrationInProgress",
  unused: "Target.NotRegistered",
};

/** A deregistered target that still drains. */
interface Leaving {
  readonly id: string;
  readonly port: number;
  /** When it is forgotten, milliseconds. */
  readonly until: number;
}

/**
 * Targets of network load balancers: their addresses have to be the VPC's, and their health is what the lab's balancers see; moto
 * believes every one to be healthy. A target that is deregistered gets no new connection from then on, and is `draining` until the
 * group's deregistration delay has passed, whether it has connections or not.
 *
 * @param now milliseconds, of a clock that only grows
 */
export function targetRules(now: () => number = () => performance.now()): Rules {
  const leaving = new Map<string, readonly Leaving[]>();
  const drainingOf = (arn: string): readonly Leaving[] =>
    (leaving.get(arn) ?? []).filter(({ until }) => until > now());
  const forget = (arn: string, targets: readonly Target[]): void => {
    leaving.set(
      arn,
      drainingOf(arn).filter((one) => !targets.some((target) => same(one, target))),
    );
  };
  return {
    "elasticloadbalancing:RegisterTargets": {
      before: async (call, { records }) => {
        await checkTargets(call, records);
        return undefined;
      },
      after: async (answer, call, { records }) => {
        forget(arnOf(call), await targetsOf(call, records));
        return answer;
      },
    },
    "elasticloadbalancing:DeregisterTargets": {
      after: async (answer, call, { records }) => {
        const arn = arnOf(call);
        const targets = await targetsOf(call, records);
        const until = now() + (await delaySeconds(call, records)) * 1000;
        forget(arn, targets);
        leaving.set(arn, [...drainingOf(arn), ...targets.map((one) => ({ ...one, until }))]);
        return answer;
      },
    },
    "elasticloadbalancing:DescribeTargetHealth": {
      instead: (call, context) => targetHealth(call, context, drainingOf(arnOf(call))),
    },
  };
}

interface Target {
  readonly id: string;
  readonly port: number;
}

function same(one: Target, other: Target): boolean {
  return one.id === other.id && one.port === other.port;
}

function arnOf(call: Call): string {
  return call.params.text("TargetGroupArn") ?? "";
}

async function groupOf(call: Call, records: Records) {
  const { TargetGroups = [] } = await records
    .elb(call.region)
    .send(new DescribeTargetGroupsCommand({ TargetGroupArns: [arnOf(call)] }));
  return TargetGroups[0];
}

/** The targets of a call. A port that is not said is the group's. */
async function targetsOf(call: Call, records: Records): Promise<Target[]> {
  const usual = (await groupOf(call, records))?.Port ?? 0;
  return call.params.items("Targets").map((target) => ({
    id: target.text("Id") ?? "",
    port: portOf(target) ?? usual,
  }));
}

function portOf(target: Params): number | undefined {
  const port = target.text("Port");
  return port === undefined ? undefined : Number(port);
}

async function delaySeconds(call: Call, records: Records): Promise<number> {
  const { Attributes = [] } = await records
    .elb(call.region)
    .send(new DescribeTargetGroupAttributesCommand({ TargetGroupArn: arnOf(call) }));
  const delay = Attributes.find(({ Key }) => Key === "deregistration_delay.timeout_seconds");
  return Number(delay?.Value ?? "300");
}

async function checkTargets(call: Call, records: Records): Promise<void> {
  const { params, region } = call;
  const vpcId = (await groupOf(call, records))?.VpcId ?? "";
  const { Vpcs = [] } = await records
    .ec2(region)
    .send(new DescribeVpcsCommand({ VpcIds: [vpcId] }));
  const range = parseCidr(Vpcs[0]?.CidrBlock ?? "");
  for (const target of params.items("Targets")) {
    const address = target.text("Id") ?? "";
    if (!contains(range, parseCidr(`${address}/32`))) {
      throw new AwsError(
        "InvalidTarget",
        `The IP address '${address}' is not within the VPC of the target group (${Vpcs[0]?.CidrBlock ?? ""}).`,
      );
    }
  }
}

async function targetHealth(
  call: Call,
  context: RuleContext,
  draining: readonly Leaving[],
): Promise<Answer> {
  const { params, region } = call;
  const arn = arnOf(call);
  const { TargetHealthDescriptions = [] } = await context.records
    .elb(region)
    .send(new DescribeTargetHealthCommand({ TargetGroupArn: arn }));
  const seen = context.targetHealth(arn) ?? {};
  const registered = TargetHealthDescriptions.map(({ Target }) => {
    const target = { id: Target?.Id ?? "", port: Target?.Port ?? 0 };
    return { target, state: seen[`${target.id}:${target.port}`] ?? "initial" };
  });
  const all = [...registered, ...draining.map((target) => ({ target, state: "draining" }))];
  const wanted = params.items("Targets");
  const told =
    wanted.length === 0
      ? all
      : wanted.flatMap((one) => {
          const id = one.text("Id") ?? "";
          const port = portOf(one);
          const known = all.filter(
            ({ target }) => target.id === id && (port ?? target.port) === target.port,
          );
          return known.length > 0 ? known : [{ target: { id, port }, state: "unused" }];
        });
  const checked = TargetHealthDescriptions[0]?.HealthCheckPort;
  return queryAnswer("DescribeTargetHealth", {
    TargetHealthDescriptions: told.map(({ target, state }) => ({
      Target: { Id: target.id, Port: target.port },
      HealthCheckPort: checked,
      TargetHealth: { State: state, Reason: reasons[state] },
    })),
  });
}
