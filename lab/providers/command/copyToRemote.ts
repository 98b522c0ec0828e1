import { randomBytes } from "node:crypto";
import { dirname } from "node:path/posix";

import type { Client, SFTPWrapper } from "ssh2";

import { define, type AnyResource, type Context } from "../shared/resource.ts";
import { anything, asset, list, object, text, type InputsOf } from "../shared/schema.ts";
import { connectionFields } from "./arguments.ts";
import { dial } from "./dial.ts";

const fields = {
  connection: object(connectionFields, { required: true }),
  source: asset({ required: true }),
  remotePath: text({ required: true }),
  triggers: list(anything(), { replaces: true }),
} as const;

type Inputs = InputsOf<typeof fields>;

/** command.remote.CopyToRemote: a file that is copied by SFTP when it, or the place it goes to, is another one. Nothing takes it away. */
export const copyToRemote: AnyResource<undefined> = define({
  type: "command:remote:CopyToRemote",
  fields,
  computed: [],
  create: async (inputs, context) => {
    await copy(inputs, context);
    return { id: randomBytes(8).toString("hex"), outputs: {} };
  },
  update: async ({ news, changed }, context) => {
    // Another way to the same machine is no reason to copy again.
    if (changed.has("source") || changed.has("remotePath")) await copy(news, context);
    return {};
  },
  delete: () => Promise.resolve(),
});

async function copy({ connection, source, remotePath }: Inputs, context: Context<undefined>) {
  const { path } = source;
  if (path === undefined) {
    throw new Error("source: the lab copies files (FileAsset), not texts or what is elsewhere");
  }
  const dialled = await dial(connection, {
    signal: context.signal,
    report: (line) => {
      context.progress(line);
    },
  });
  try {
    const sftp = await open(dialled.client);
    await makeFolders(sftp, dirname(remotePath));
    await new Promise<void>((resolve, reject) => {
      sftp.fastPut(path, remotePath, (error?: Error | null) => {
        if (error) reject(new Error(`cannot copy ${path} to ${remotePath}: ${error.message}`));
        else resolve();
      });
    });
  } finally {
    dialled.close();
  }
}

function open(client: Client): Promise<SFTPWrapper> {
  return new Promise((resolve, reject) => {
    client.sftp((error, sftp) => {
      if (error) reject(error);
      else resolve(sftp);
    });
  });
}

/** What is there already answers with a failure like any other; whether it is there shows when the file is written. */
async function makeFolders(sftp: SFTPWrapper, folder: string): Promise<void> {
  if (folder === "." || folder === "/") return;
  await makeFolders(sftp, dirname(folder));
  await new Promise<void>((resolve) => {
    sftp.mkdir(folder, () => {
      resolve();
    });
  });
}
