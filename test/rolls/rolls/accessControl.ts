import assert from "node:assert/strict";
import { memberNow } from "../../faults/harness/machine.ts";
import { inside } from "../../lab/support.ts";
import { roll, type Stage } from "../harness/roll.ts";
import { certificateRoll } from "./certificates.ts";
import { membersChange } from "./flags.ts";

const setting = "etcd-cluster:accessControl";
const users = { load: [{ prefix: "rolls/", access: "readwrite" }], poor: [] };
const off = { [setting]: { enabled: false, users } };
const on = { [setting]: { enabled: true, users } };

/**
 * A write by somebody with a certificate of the clients' authority whose name nobody has given any rights: a member's own server
 * certificate, which opens no more than a stranger's when the agent does not ask.
 *
 * @returns what etcdctl says when it is refused; undefined when it is not
 */
async function strangerRefused(stage: Stage): Promise<string | undefined> {
  const { machine } = await memberNow(stage.stack.cluster, "m1");
  assert.ok(machine?.pid, "m1 has no machine");
  const pki = "/etc/etcd/pki";
  const { code, stdout, stderr } = await inside(
    machine.pid,
    [
      ...["/usr/local/bin/etcdctl", "--endpoints", "https://127.0.0.1:2379"],
      ...["--cacert", `${pki}/client-ca.crt`],
      ...["--cert", `${pki}/server.crt`, "--key", `${pki}/server.key`],
      ...["put", "rolls/stranger", "1"],
    ],
    { timeoutSeconds: 30 },
  );
  return code === 0 ? undefined : stdout + stderr;
}

/** A write of the load's user where it has no rights. */
async function loadElsewhere(stage: Stage): Promise<void> {
  const { address } = await memberNow(stage.stack.cluster, "m1");
  await stage.load.put(address, "elsewhere", "1", 10);
}

/** etcd's own access control goes on and off under the load of a user with rights; it has no effect on him, and every one on others. */
export function accessRolls(): void {
  roll(
    certificateRoll({
      name: "access-control",
      what: "access control: on, under the load of a user who has rights; then off again",
      given: off,
      user: "load",
      prepare: async (stage) => {
        assert.equal(await strangerRefused(stage), undefined);
        await loadElsewhere(stage);
      },
      change: on,
      preview: membersChange(3),
      act: async (stage) => {
        await stage.stack.apply();
        assert.match((await strangerRefused(stage)) ?? "", /permission denied/);
        await assert.rejects(loadElsewhere(stage), /permission denied/);
        assert.deepEqual(await stage.stack.preview(), [], "a preview while it is on");
        stage.stack.set(off);
        const { seconds } = await stage.stack.apply();
        stage.note("seconds to turn it off", Math.round(seconds));
        assert.equal(await strangerRefused(stage), undefined);
        await loadElsewhere(stage);
      },
      expected: { certificates: "same", keys: "same" },
    }),
  );
}
