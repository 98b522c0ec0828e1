import { connect } from "node:net";

import { ports } from "../../components/plan/ports";
import { EtcdEndpoint, type ClientTls } from "./etcd";

/** Whether anything listens on etcd's ports at one of the addresses. Certificates do not matter: any answer is one too many. */
export async function someoneAnswers(addresses: readonly string[]): Promise<boolean> {
  const tries = addresses.flatMap((address) =>
    [ports.client, ports.peer].map((port) => accepts(address, port)),
  );
  return (await Promise.all(tries)).some(Boolean);
}

function accepts(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port });
    const answer = (value: boolean): void => {
      socket.destroy();
      resolve(value);
    };
    socket.setTimeout(1000, () => {
      answer(false);
    });
    socket.once("connect", () => {
      answer(true);
    });
    socket.once("error", () => {
      answer(false);
    });
  });
}

/** Whether a quorum confirms the member list to one of these members. */
export async function quorumAnswers(
  addresses: readonly string[],
  tls: ClientTls,
): Promise<boolean> {
  const tries = addresses.map(async (address) => {
    const endpoint = new EtcdEndpoint(address, tls, 2000);
    try {
      await endpoint.members();
      return true;
    } catch {
      return false;
    } finally {
      endpoint.close();
    }
  });
  return (await Promise.all(tries)).some(Boolean);
}
