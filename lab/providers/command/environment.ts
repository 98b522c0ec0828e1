import type { Client } from "ssh2";

/** What of the SSH library is used beyond its interface: it sends variables without asking whether the server took them. */
interface Internals {
  readonly _protocol: {
    env(id: number, name: string, value: string, wantReply: boolean): void;
    exec(id: number, command: string, wantReply: boolean): void;
  };
  readonly _chanMgr: { readonly _channels: Readonly<Record<string, Channel>> };
}

interface Channel {
  readonly outgoing?: { readonly id: number };
  readonly _callbacks: ((failure: boolean | Error) => void)[];
}

/** A variable that the server refused. */
export class VariableRefused extends Error {
  constructor(name: string) {
    super(`could not set environment variable ${JSON.stringify(name)}: ssh: setenv failed`);
  }
}

/**
 * Makes this connection ask for an answer to every variable and hold the command back until all have been answered. The command does
 * not run when `refused` returns an error for a refused variable.
 */
export function askForAnswers(
  client: Client,
  refused: (name: string) => VariableRefused | undefined,
): void {
  const { _protocol: protocol, _chanMgr: channels } = client as unknown as Internals;
  const channelOf = (id: number) =>
    Object.values(channels._channels).find((channel) => channel.outgoing?.id === id);
  const send = { env: protocol.env.bind(protocol), exec: protocol.exec.bind(protocol) };
  let open = 0;
  let failure: VariableRefused | undefined;
  let whenAnswered: (() => void) | undefined;

  protocol.env = (id, name, value) => {
    open += 1;
    channelOf(id)?._callbacks.push((failed) => {
      open -= 1;
      if (failed !== false) {
        failure ??= refused(name);
      }
      if (open === 0) {
        whenAnswered?.();
      }
    });
    send.env(id, name, value, true);
  };
  protocol.exec = (id, command, wantReply) => {
    whenAnswered = () => {
      if (failure === undefined) {
        send.exec(id, command, wantReply);
      } else {
        // The library has queued its own reaction to the command's answer; this is that answer.
        channelOf(id)?._callbacks.shift()?.(failure);
      }
    };
    if (open === 0) {
      whenAnswered();
    }
  };
}
