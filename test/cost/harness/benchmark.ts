import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bastionId } from "../../../lab/cli/fault/actions.ts";
import { machineNamespace } from "../../../lab/machines/machines.ts";
import { ensureBenchmark } from "../../../lab/toolchain/artifacts.ts";
import type { Cluster } from "../../faults/harness/cluster.ts";
import { must } from "../../lab/support.ts";
import { requestsPerSecond } from "./figures.ts";

/** Closed loops: each client writes as soon as its last write was acknowledged. */
const load = ["--conns=8", "--clients=32", "--target-leader"];
const put = ["--key-space-size=10000", "--key-size=16", "--val-size=256"];

/** etcd's own benchmark program, in the network of the lab's clients. */
export class Benchmark {
  readonly #program: string;
  readonly #namespace: string;
  readonly #cluster: Cluster;
  /** Holds the client's key; removed at the end. */
  readonly #folder = mkdtempSync(join(tmpdir(), "etcd-cost-"));

  private constructor(program: string, namespace: string, cluster: Cluster) {
    this.#program = program;
    this.#namespace = namespace;
    this.#cluster = cluster;
    for (const [name, text] of Object.entries(cluster.tls)) {
      writeFileSync(join(this.#folder, name), String(text), { mode: 0o600 });
    }
  }

  /** Builds it if it has not been built yet. */
  static async of(cluster: Cluster): Promise<Benchmark> {
    const program = await ensureBenchmark((line) => {
      process.stderr.write(`${line}\n`);
    });
    return new Benchmark(program, `/run/netns/${machineNamespace(await bastionId())}`, cluster);
  }

  /** So many writes, as fast as they go; answers how many a second. */
  async writes(total: number): Promise<number> {
    const endpoints = this.#cluster.declared.map(({ address }) => `https://${address}:2379`);
    const file = (name: string): string => join(this.#folder, name);
    const { stdout } = await must(
      "nsenter",
      [
        ...[`--net=${this.#namespace}`, this.#program, `--endpoints=${endpoints.join(",")}`],
        ...[`--cacert=${file("ca")}`, `--cert=${file("certificate")}`, `--key=${file("key")}`],
        ...[...load, "put", `--total=${total}`, ...put],
      ],
      { timeoutSeconds: 300 },
    );
    return requestsPerSecond(stdout);
  }

  /** Removes the key. */
  end(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
