import { connect } from "node:net";

import { ports } from "../../components/plan/ports";

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
