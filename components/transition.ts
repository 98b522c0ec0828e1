import * as pulumi from "@pulumi/pulumi";

import { describeProblems } from "./plan/problems";
import { recordedShape, transitionProblems, type Shape } from "./plan/transition";

/**
 * Remembers in the stack's state what the cluster was brought to last, and refuses what cannot follow it, in a preview as well. It is
 * nothing at AWS.
 *
 * The engine hands a component's outputs of the last run to whoever asks for it by its URN, until this run registers new ones; they
 * are registered when all members are verified. So a change that was interrupted is still measured against what it began with.
 * (Resource hooks would tell old from new as well. The language host that the lab has does not know them.)
 */
export class Transition extends pulumi.ComponentResource {
  /** Resolves to the shape that is asked for; fails when it must not follow the last one. */
  readonly allowed: pulumi.Output<Shape>;

  constructor(name: string, asked: pulumi.Input<Shape>, opts?: pulumi.ComponentResourceOptions) {
    super("etcd-cluster:index:Transition", name, {}, opts);
    this.allowed = pulumi.all([this.urn, asked]).apply(async ([urn, shape]) => {
      const answer = (await pulumi.runtime.invoke("pulumi:pulumi:getResource", { urn })) as {
        state?: unknown;
      };
      const problems = transitionProblems(recordedShape.parse(answer.state ?? {}), shape);
      if (problems.length > 0) {
        throw new pulumi.RunError(describeProblems(problems));
      }
      return shape;
    });
  }

  /** Remembers the shape when `done` resolves; the last thing to be called. */
  complete(done: pulumi.Output<unknown>): void {
    this.registerOutputs(pulumi.all([this.allowed, done]).apply(([shape]) => ({ ...shape })));
  }
}
