import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";

import { bootstrap, timeouts, verify, waitForSsh } from "./plan/commands";
import { parseHealth, type MemberHealth } from "./plan/health";
import { memberPlaces } from "./plan/layout";
import { ports } from "./plan/ports";
import { MemberIdentity, type MemberFoundation } from "./memberIdentity";
import { MemberMachine, type MachineFoundation } from "./memberMachine";

/** The way to the members for Pulumi's remote commands. */
export interface SshWay {
  /** Public address of the bastion. */
  bastionHost: pulumi.Output<string>;
  /** Its SSH host key. */
  bastionHostKey: pulumi.Output<string>;
  /** The operator's private key, OpenSSH format; a secret. */
  privateKey: pulumi.Output<string>;
}

/** What an EtcdNodeGroup needs. */
export interface EtcdNodeGroupArgs {
  foundation: MemberFoundation;
  /** Ids of the private subnets by zone. */
  subnetIds: Readonly<Record<string, pulumi.Output<string>>>;
}

/** What the machines and their commands need, of which some is made from the members' identities. */
export interface StartArgs {
  machines: MachineFoundation;
  ssh: SshWay;
}

/** A member as operators and scripts see it. */
export interface MemberSummary {
  /** Name of the member. */
  name: string;
  /** Availability zone. */
  zone: string;
  /** Address of its interface. */
  address: string;
  /** Id of its data volume. */
  volumeId: string;
  /** Name of the auto scaling group that keeps a machine under it. */
  groupName: string;
}

/** User of Debian's images. */
const user = "admin";

/** Refused dials while the bastion boots: 100 ms at first, 5 s at most, so this is some five minutes. */
const bastionDials = 60;

/**
 * The members and their machines:
 *
 * 1. every member's identity: address, volume, role, certificates;
 * 2. every member's machine;
 * 3. three commands per member: wait for its sshd (run on the bastion), bootstrap (converge to the desired state and wait for
 *    quorum; one member after another), verify (after all bootstraps).
 *
 * No bootstrap waits for a later one's machine: all machines are there, and form the cluster by themselves, before the first runs.
 */
export class EtcdNodeGroup extends pulumi.ComponentResource {
  /** The members' identities, m1 first. */
  readonly identities: readonly MemberIdentity[];

  private readonly base: string;

  constructor(name: string, args: EtcdNodeGroupArgs, opts?: pulumi.ComponentResourceOptions) {
    super("etcd-cluster:index:EtcdNodeGroup", name, {}, opts);
    this.base = name;
    const { options } = args.foundation;
    this.identities = memberPlaces(options.size, options.zones).map(
      ({ name: member, zone }) =>
        new MemberIdentity(
          `${name}-${member}`,
          { ...args.foundation, member, zone, subnetId: args.subnetIds[zone] ?? "" },
          { parent: this },
        ),
    );
    this.registerOutputs({});
  }

  /** Puts machines under the members, brings them up and verifies them. */
  start(args: StartArgs): {
    members: pulumi.Output<MemberSummary[]>;
    health: pulumi.Output<MemberHealth[]>;
  } {
    const initialMembers = pulumi.all(
      this.identities.map(({ member, address, volumeId }) =>
        pulumi
          .all([address, volumeId])
          .apply(([ip, volume]) => ({ name: member, address: ip, volumeId: volume })),
      ),
    );
    const machines = this.identities.map((identity) => ({
      identity,
      machine: new MemberMachine(
        `${this.base}-${identity.member}`,
        { ...args.machines, identity, initialMembers },
        { parent: this },
      ),
    }));
    const waits = machines.map(({ identity, machine }) => this.wait(identity, machine, args.ssh));
    const bootstraps: command.remote.Command[] = [];
    for (const { identity, machine } of machines) {
      // All waits: what the first bootstrap waits for is a quorum. The one before: members change one at a time.
      bootstraps.push(
        this.bootstrap(identity, machine, args.ssh, [...waits, ...bootstraps.slice(-1)]),
      );
    }
    const desired = pulumi.all(machines.map(({ machine }) => machine.configSha256));
    const health = this.identities.map((identity) =>
      this.verify(identity, desired, args.ssh, bootstraps),
    );
    return {
      members: pulumi.all(
        machines.map(({ identity, machine }) =>
          pulumi.all({
            name: identity.member,
            zone: identity.zone,
            address: identity.address,
            volumeId: identity.volumeId,
            groupName: machine.groupName,
          }),
        ),
      ),
      health: pulumi.all(health),
    };
  }

  private wait(
    identity: MemberIdentity,
    machine: MemberMachine,
    ssh: SshWay,
  ): command.remote.Command {
    return new command.remote.Command(
      `${this.base}-${identity.member}-wait`,
      {
        connection: bastionConnection(ssh),
        create: pulumi.all([identity.address, identity.hostKey]).apply(([address, hostKey]) =>
          waitForSsh({
            member: identity.member,
            address,
            hostKey,
            timeoutSeconds: timeouts.waitSeconds,
          }),
        ),
        addPreviousOutputInEnv: false,
        triggers: [machine.groupName, machine.configSha256],
      },
      { parent: this, dependsOn: [machine] },
    );
  }

  private bootstrap(
    identity: MemberIdentity,
    machine: MemberMachine,
    ssh: SshWay,
    after: pulumi.Resource[],
  ): command.remote.Command {
    return new command.remote.Command(
      `${this.base}-${identity.member}-bootstrap`,
      {
        connection: memberConnection(identity, ssh),
        create: machine.configSha256.apply((sha256) =>
          bootstrap(sha256, timeouts.bootstrapSeconds),
        ),
        addPreviousOutputInEnv: false,
        triggers: [machine.configSha256],
      },
      { parent: this, dependsOn: after },
    );
  }

  private verify(
    identity: MemberIdentity,
    desired: pulumi.Output<string[]>,
    ssh: SshWay,
    after: pulumi.Resource[],
  ): pulumi.Output<MemberHealth> {
    const run = new command.remote.Command(
      `${this.base}-${identity.member}-verify`,
      {
        connection: memberConnection(identity, ssh),
        create: verify(timeouts.verifySeconds),
        addPreviousOutputInEnv: false,
        // Whatever changes at one member is proven at all.
        triggers: desired,
      },
      { parent: this, dependsOn: after },
    );
    return run.stdout.apply((stdout) => parseHealth(identity.member, stdout));
  }
}

function bastionConnection(ssh: SshWay) {
  return {
    host: ssh.bastionHost,
    port: ports.ssh,
    user,
    privateKey: ssh.privateKey,
    hostKey: ssh.bastionHostKey,
    dialErrorLimit: bastionDials,
  };
}

function memberConnection(identity: MemberIdentity, ssh: SshWay) {
  return {
    host: identity.address,
    port: ports.ssh,
    user,
    privateKey: ssh.privateKey,
    hostKey: identity.hostKey,
    proxy: bastionConnection(ssh),
  };
}
