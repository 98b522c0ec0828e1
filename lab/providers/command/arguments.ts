import {
  anything,
  flag,
  list,
  map,
  number,
  object,
  text,
  type InputsOf,
} from "../shared/schema.ts";

const endpointFields = {
  host: text({ required: true }),
  port: number(),
  user: text(),
  password: text(),
  privateKey: text(),
  privateKeyPassword: text(),
  agentSocketPath: text(),
  dialErrorLimit: number(),
  perDialTimeout: number(),
  hostKey: text(),
} as const;

/** How to reach a machine, perhaps through a jump host. */
export const connectionFields = { ...endpointFields, proxy: object(endpointFields) } as const;

/** One SSH server and how to log in there. */
export type Endpoint = InputsOf<typeof endpointFields>;

/** Where a command runs, perhaps through a jump host. */
export type Connection = InputsOf<typeof connectionFields>;

/** Arguments of remote.Command. */
export const commandFields = {
  connection: object(connectionFields, { required: true }),
  create: text(),
  update: text(),
  delete: text(),
  triggers: list(anything(), { replaces: true }),
  environment: map(text()),
  stdin: text(),
  logging: text(),
  addPreviousOutputInEnv: flag(),
} as const;

/** What a command is run with. */
export type CommandInputs = InputsOf<typeof commandFields>;
