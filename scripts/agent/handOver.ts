import type { MemberConfig } from "../../components/plan/memberConfig";
import { agentTls, throughEndpoint, type EtcdEndpoint } from "./etcd";
import type { ClusterRecord } from "./record";
import { reasonOf, say } from "./say";
import { successor } from "./successor";

/**
 * Hands leadership over if this member has it, to one whose own turn is over or farthest away. That it cannot is no reason to stop:
 * etcd tries the same by itself when it ends.
 */
export async function handOver(config: MemberConfig, record: ClusterRecord): Promise<void> {
  const tls = await agentTls();
  const hand = async (endpoint: EtcdEndpoint): Promise<void> => {
    const status = await endpoint.status();
    const to = successor(config.member, record.roster, await endpoint.members());
    if (status.leader === status.id && to !== undefined) {
      await endpoint.moveLeader(to);
    }
  };
  try {
    await throughEndpoint(config.address, 3000, hand, tls);
  } catch (error) {
    say(`leadership was not handed over beforehand: ${reasonOf(error)}`);
  }
}
