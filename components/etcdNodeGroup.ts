import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";

import { bring, resize, timeouts, verify, waitForSsh } from "./plan/commands";
import { firstMembersFor, type FirstMember } from "./plan/firstMembers";
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
  /** What the members share before any machine exists. */
  foundation: MemberFoundation;
  /** What their machines share. */
  machines: MachineFoundation;
  /** Ids of the private subnets by zone. */
  subnetIds: Readonly<Record<string, pulumi.Output<string>>>;
  /** How the commands reach them. */
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

/** Refused dials while a machine boots: 100 ms at first, 5 s at most, so this is some five minutes. */
const dials = 60;

/**
 * The members and their machines:
 *
 * 1. every member's identity: address, volume, role, certificates;
 * 2. every member's machine;
 * 3. for all at once: `wait` for the member's sshd (on the bastion), and `repair`, which applies the desired state where etcd is down;
 * 4. member after member: `converge` (its turn; it may end the machine), `back` (on the bastion: the sshd of the machine that is there
 *    afterwards), `bootstrap` (until the others may count on it);
 * 5. on m1, which never leaves, after its own bootstrap and before anybody else's turn: `resize`. Where the members are those that etcd
 *    has, it does nothing;
 * 6. for all at once: `verify`.
 *
 * Everybody's turn follows everybody's `repair` by its id, not by the desired state alone. A run that stopped half-way has left turns that
 * are still as they were before it, in Pulumi's state; taking the change back would find nothing to do for them, and leave what was begun.
 *
 * A command that refuses fails, and the members after it are not touched. No command waits for a later one's machine: all machines are
 * there, and form the cluster by themselves, before the first turn. New members' machines boot and wait for resize to let them in. What
 * belongs to members that left is deleted by the engine after everything else in the same run, and not at all when anything before failed.
 */
export class EtcdNodeGroup extends pulumi.ComponentResource {
  /** The members' identities, m1 first. */
  readonly identities: readonly MemberIdentity[];
  /** The members, with their groups. */
  readonly members: pulumi.Output<MemberSummary[]>;
  /** When these are done, the members are those that were asked for, and every one has its desired state. */
  readonly inService: readonly pulumi.Resource[];
  /** What verify saw; it resolves only after every member was verified. */
  readonly health: pulumi.Output<MemberHealth[]>;

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
    const present = pulumi.all(this.identities.map(place));
    const first = this.firstMembers(present);
    const machines = this.identities.map((identity) => ({
      identity,
      machine: new MemberMachine(
        `${name}-${identity.member}`,
        {
          ...args.machines,
          identity,
          initialMembers: pulumi
            .all([place(identity), first])
            .apply(([own, remembered]) => firstMembersFor(own, remembered)),
        },
        { parent: this },
      ),
    }));
    const repaired = machines.map(({ identity, machine }) => {
      const wait = this.wait("wait", identity, machine, args.ssh, [machine]);
      const repair = this.bring("repair", identity, machine, args.ssh, [wait]);
      return { identity, machine, repair };
    });
    const repairs = repaired.map(({ repair }) => repair);
    const bootstraps: command.remote.Command[] = [];
    const resizes: command.remote.Command[] = [];
    for (const { identity, machine, repair } of repaired) {
      // All repairs: a turn is refused while another member is down. The one before: members change one at a time.
      const after = [...repairs, ...resizes, ...bootstraps.slice(-1)];
      const turn = this.bring("converge", identity, machine, args.ssh, after, repair);
      const back = this.wait("back", identity, machine, args.ssh, [turn], repair);
      const made = this.bring("bootstrap", identity, machine, args.ssh, [back], repair);
      bootstraps.push(made);
      if (resizes.length === 0) {
        resizes.push(this.resize(identity, present, args.ssh, [...repairs, made]));
      }
    }
    this.inService = [...resizes, ...bootstraps];
    const attempts = pulumi.all([
      ...machines.map(({ machine }) => machine.configSha256),
      ...repairs.map(({ id }) => id),
    ]);
    this.members = pulumi.all(machines.map(({ identity, machine }) => summary(identity, machine)));
    this.health = pulumi.all(
      this.identities.map((identity) => this.verify(identity, attempts, args.ssh, this.inService)),
    );
    this.registerOutputs({ members: this.members, health: this.health });
  }

  /**
   * The members with whom the cluster began: remembered in the stack's state, whatever its size becomes. Every document names them, and
   * would change with the size otherwise, for nothing.
   */
  private firstMembers(present: pulumi.Output<FirstMember[]>): pulumi.Output<FirstMember[]> {
    const memory = new pulumi.Stash(
      `${this.base}-first-members`,
      { input: present },
      { parent: this, ignoreChanges: ["input"] },
    );
    return memory.output as pulumi.Output<FirstMember[]>;
  }

  private wait(
    what: "wait" | "back",
    identity: MemberIdentity,
    machine: MemberMachine,
    ssh: SshWay,
    after: pulumi.Resource[],
    attempt?: command.remote.Command,
  ): command.remote.Command {
    return new command.remote.Command(
      `${this.base}-${identity.member}-${what}`,
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
        triggers: [machine.groupName, machine.configSha256, ...idOf(attempt)],
      },
      { parent: this, dependsOn: after },
    );
  }

  private bring(
    how: "repair" | "converge" | "bootstrap",
    identity: MemberIdentity,
    machine: MemberMachine,
    ssh: SshWay,
    after: pulumi.Resource[],
    attempt?: command.remote.Command,
  ): command.remote.Command {
    return new command.remote.Command(
      `${this.base}-${identity.member}-${how}`,
      {
        connection: memberConnection(identity, ssh),
        create: machine.configSha256.apply((sha256) => bring(how, sha256)),
        addPreviousOutputInEnv: false,
        triggers: [machine.configSha256, ...idOf(attempt)],
      },
      { parent: this, dependsOn: after },
    );
  }

  private resize(
    runner: MemberIdentity,
    members: pulumi.Output<FirstMember[]>,
    ssh: SshWay,
    after: pulumi.Resource[],
  ): command.remote.Command {
    return new command.remote.Command(
      `${this.base}-resize`,
      {
        connection: memberConnection(runner, ssh),
        // No triggers: another list is another text, and the same command runs again with it.
        create: members.apply((list) => resize(list, timeouts.resizeSeconds)),
        addPreviousOutputInEnv: false,
      },
      { parent: this, dependsOn: after },
    );
  }

  private verify(
    identity: MemberIdentity,
    attempts: pulumi.Output<string[]>,
    ssh: SshWay,
    after: readonly pulumi.Resource[],
  ): pulumi.Output<MemberHealth> {
    const run = new command.remote.Command(
      `${this.base}-${identity.member}-verify`,
      {
        connection: memberConnection(identity, ssh),
        create: verify(timeouts.verifySeconds),
        addPreviousOutputInEnv: false,
        // Whatever changes at one member is proven at all.
        triggers: attempts,
      },
      { parent: this, dependsOn: [...after] },
    );
    return run.stdout.apply((stdout) => parseHealth(identity.member, stdout));
  }
}

/** As a trigger: another one whenever the command ran again. */
function idOf(attempt: command.remote.Command | undefined): pulumi.Output<string>[] {
  return attempt === undefined ? [] : [attempt.id];
}

function place(identity: MemberIdentity): pulumi.Output<FirstMember> {
  return pulumi
    .all([identity.address, identity.volumeId])
    .apply(([address, volumeId]) => ({ name: identity.member, address, volumeId }));
}

function summary(identity: MemberIdentity, machine: MemberMachine): pulumi.Output<MemberSummary> {
  return pulumi
    .all([identity.address, identity.volumeId, machine.groupName])
    .apply(([address, volumeId, groupName]) => ({
      name: identity.member,
      zone: identity.zone,
      address,
      volumeId,
      groupName,
    }));
}

function bastionConnection(ssh: SshWay) {
  return {
    host: ssh.bastionHost,
    port: ports.ssh,
    user,
    privateKey: ssh.privateKey,
    hostKey: ssh.bastionHostKey,
    dialErrorLimit: dials,
  };
}

function memberConnection(identity: MemberIdentity, ssh: SshWay) {
  return {
    host: identity.address,
    port: ports.ssh,
    user,
    privateKey: ssh.privateKey,
    hostKey: identity.hostKey,
    // A run that was interrupted between a machine's end and the next one's beginning may find nobody there.
    dialErrorLimit: dials,
    proxy: bastionConnection(ssh),
  };
}
