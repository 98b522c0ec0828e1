import { setTimeout as sleep } from "node:timers/promises";
import { realpathSync } from "node:fs";
import { EC2Client } from "@aws-sdk/client-ec2";
import {
  exportState,
  importState,
  pendingOperations,
  resourcesOf,
  settled,
  type Checkpoint,
  type Settlement,
  type StateResource,
} from "./lib/deployment.ts";
import { backendFolder, brokenSideFiles, removeSideFiles } from "./lib/fileBackend.ts";
import { finders, keysOf, wantedTags, type Search } from "./lib/find.ts";
import { clusterTag, isMadeByCluster, taggedThings, type Tagged } from "./lib/inventory.ts";
import { main, options } from "./lib/main.ts";
import { endPlugins, pulumiProcesses } from "./lib/processes.ts";
import { removers, type Removal } from "./lib/remove.ts";
import { pulumi } from "./lib/stack.ts";

const usage = `recover-state.ts [--dry-run | --apply]
After a \`pulumi up\` that was killed: releases its lock, looks in AWS for what it had begun to create, and takes that into the
state (or, where it is a mere connection, takes it away), so that the next \`pulumi up\` goes on and makes nothing twice.
Without --apply it only says what it would do. It needs the shell in which \`pulumi up\` runs, and refuses while one does.`;

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

/** What is to be done about one operation that was under way. */
interface Finding {
  readonly settlement?: Settlement;
  readonly removals: readonly Removal[];
  readonly text: string;
  /** Only a person can decide. */
  readonly open: boolean;
}

function shortName(urn: string): string {
  const [type = "", name = ""] = urn.split("::").slice(-2);
  return `${type.slice(type.lastIndexOf("$") + 1)} ${name}`;
}

/**
 * Decides about one create that was under way. `taken` are the ids that the state has for this very type: a role and its
 * instance profile, for example, have the same id.
 */
async function examine(
  client: EC2Client,
  search: Search,
  inState: boolean,
  taken: ReadonlySet<string>,
): Promise<Finding> {
  const { wanted, known } = search;
  const { urn, type } = wanted;
  const name = shortName(urn);
  const forget: Settlement = { kind: "forget", urn };
  const remover = removers[type];
  if (remover !== undefined) {
    const removals = await remover(client, wanted, known);
    const what = removals.map((each) => each.what).join(", ");
    const text =
      removals.length === 0 ? `${name}: was not created` : `${name}: remove ${what}, made again`;
    return { settlement: forget, removals, text, open: false };
  }
  const finder = finders[type];
  if (finder === undefined) {
    return { settlement: forget, removals: [], text: `${name}: is simply done again`, open: false };
  }
  const ids = (await finder(search)).filter((id) => !taken.has(id));
  const [id] = ids;
  if (id === undefined) {
    return { settlement: forget, removals: [], text: `${name}: was not created`, open: false };
  }
  if (ids.length > 1 || inState) {
    const why = inState ? "the state has another one under this name" : "they cannot be told apart";
    return { removals: [], text: `${name}: ${ids.join(", ")} in AWS; ${why}`, open: true };
  }
  return {
    settlement: { kind: "adopt", urn, id },
    removals: [],
    text: `${name}: adopt ${id}`,
    open: false,
  };
}

/**
 * A killed process's last requests may still be at work inside AWS: who looks at once finds nothing, and what comes to be a
 * moment later is an orphan that nobody looks for any more.
 */
const settleSeconds = 4;

/** Ids of everything in the state. */
function knownIds(resources: readonly Pick<StateResource, "id">[]): Set<string> {
  return new Set(resources.flatMap(({ id }) => (id === undefined ? [] : [id])));
}

/** Names of the clusters that the state speaks of, and the stack's setting: a killed first `up` may have no state yet. */
async function clustersOf(checkpoint: Checkpoint): Promise<string[]> {
  const all = [
    ...resourcesOf(checkpoint),
    ...pendingOperations(checkpoint).map(({ resource }) => resource),
  ];
  const names = all.flatMap((resource) => wantedTags(resource)[clusterTag] ?? []);
  const setting = await pulumi("config", "get", "etcd-cluster:clusterName").catch(() => "");
  return [...new Set([...names, setting.trim()])].filter((name) => name !== "");
}

/** What a kill in the middle of a write leaves of the file backend's side files. False: nothing can be read before --apply. */
function settleBackend(apply: boolean): boolean {
  const folder = backendFolder(process.env["PULUMI_BACKEND_URL"]);
  const broken = folder === undefined ? [] : brokenSideFiles(folder);
  for (const path of broken)
    say(`${path} was being written: ${apply ? "removed" : "to be removed"}`);
  if (apply) removeSideFiles(broken);
  return apply || broken.length === 0;
}

/** No engine may live; plugins that outlived theirs are ended, or named in a dry run. */
async function settleProcesses(apply: boolean): Promise<void> {
  const folder = realpathSync(process.cwd());
  const found = pulumiProcesses(folder).filter(({ pid }) => pid !== process.pid);
  const engine = found.find(({ kind }) => kind === "engine");
  if (engine !== undefined) {
    throw new Error(
      `pulumi is running here (process ${engine.pid}: ${engine.command}); its lock is not a dead one`,
    );
  }
  if (found.length === 0) return;
  say(`${found.length} plugins outlived their pulumi (${found.map(({ pid }) => pid).join(", ")})`);
  if (apply) await endPlugins(found);
}

/** Things with the cluster's tag that neither the state nor the cluster itself accounts for. */
async function unclaimed(
  clusters: readonly string[],
  tagged: readonly Tagged[],
  known: ReadonlySet<string>,
): Promise<string[]> {
  const keys = await Promise.all(clusters.map((cluster) => keysOf(cluster, known)));
  return [
    ...tagged
      // A key pair is known to the state by its name.
      .filter(({ id }) => !id.startsWith("key-"))
      .filter((thing) => !known.has(thing.id) && !isMadeByCluster(thing))
      .map(({ id, tags }) => `${id} (${tags["Name"] ?? "no name"})`),
    ...keys.flat().map((id) => `${id} (KMS key)`),
  ];
}

async function recover(): Promise<number> {
  const { values } = options(usage, {
    apply: { type: "boolean", default: false },
    "dry-run": { type: "boolean", default: false },
    help: { type: "boolean" },
  } as const);
  if (values.help === true) {
    say(usage);
    return 0;
  }
  const apply = values.apply && !values["dry-run"];
  await settleProcesses(apply);
  if (!settleBackend(apply)) {
    say("the state cannot be read before that; --apply does it, and says what else there is");
    return 1;
  }
  if (apply) {
    // Takes away the lock that the killed process left, and does nothing when there is none.
    await pulumi("cancel", "--yes");
    say("the stack's lock is released");
  }
  const checkpoint = await exportState();
  const operations = pendingOperations(checkpoint);
  const creates = operations.filter(({ type }) => type === "creating");
  if (creates.length > 0) {
    say(`waiting ${settleSeconds} s for what AWS had been asked for before the kill`);
    await sleep(settleSeconds * 1000);
  }
  const known = knownIds(resourcesOf(checkpoint));
  const client = new EC2Client();
  const clusters = await clustersOf(checkpoint);
  const tagged = (
    await Promise.all(clusters.map((cluster) => taggedThings(client, cluster)))
  ).flat();
  const findings: Finding[] = [];
  const claimed: Pick<StateResource, "type" | "id">[] = [];
  for (const { resource } of creates) {
    const inState = resourcesOf(checkpoint).some(
      (each) =>
        each.urn === resource.urn && each.delete !== true && each.pendingReplacement !== true,
    );
    const taken = knownIds([
      ...resourcesOf(checkpoint).filter(({ type }) => type === resource.type),
      // Two creates must not claim the same thing.
      ...claimed.filter(({ type }) => type === resource.type),
    ]);
    const finding = await examine(client, { wanted: resource, tagged, known }, inState, taken);
    if (finding.settlement?.kind === "adopt") {
      const { id } = finding.settlement;
      known.add(id);
      claimed.push({ type: resource.type, id });
    }
    findings.push(finding);
    say(`  ${finding.text}`);
  }
  const open = findings.filter((finding) => finding.open);
  const adopted = findings.flatMap(({ settlement }) =>
    settlement?.kind === "adopt" ? [settlement.urn] : [],
  );
  const removals = findings.flatMap((finding) => finding.removals);
  if (apply && open.length === 0 && operations.length > 0) {
    for (const removal of removals) await removal.remove();
    await importState(
      settled(
        checkpoint,
        findings.flatMap(({ settlement }) => settlement ?? []),
      ),
    );
    if (adopted.length > 0) {
      // Asks AWS what the adopted things are; nothing else of the stack is touched.
      const targets = adopted.flatMap((urn) => ["--target", urn]);
      await pulumi("refresh", "--yes", "--skip-preview", ...targets);
    }
  }
  // What is removed is no stranger, and `tagged` was asked before.
  for (const { what } of removals) known.add(what);
  const strangers = await unclaimed(clusters, tagged, known);
  for (const each of strangers) say(`  ${each}: has the cluster's tag, and nobody knows it`);
  return conclude({ apply, adopted, removals, operations, open, strangers });
}

function conclude(result: {
  readonly apply: boolean;
  readonly adopted: readonly string[];
  readonly removals: readonly Removal[];
  readonly operations: readonly unknown[];
  readonly open: readonly Finding[];
  readonly strangers: readonly string[];
}): number {
  const { apply, adopted, removals, operations, open, strangers } = result;
  const orphans = adopted.length + removals.length + open.length + strangers.length;
  const begun = `${operations.length} operations had begun`;
  if (open.length > 0) {
    say(`${open.length} need a person's decision; nothing was changed`);
    return 1;
  }
  if (orphans === 0) {
    say(`no orphans; ${begun}`);
  } else if (apply) {
    say(
      `${begun}: ${adopted.length} orphans adopted, ${removals.length} removed, ${strangers.length} left for a person`,
    );
  } else {
    say(
      `${begun}: would adopt ${adopted.length} orphans, remove ${removals.length}, leave ${strangers.length} to a person (--apply acts)`,
    );
  }
  return 0;
}

if (import.meta.main) await main("recover-state", recover);
