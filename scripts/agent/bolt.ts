import { open, type FileHandle } from "node:fs/promises";

/**
 * As much of bbolt's file format as it takes to look up a key: two meta pages of which the newer good one counts, and B+ trees of pages.
 * bbolt has a checksum over the meta pages only; elsewhere, what cannot be is refused.
 */

/** Bytes that are no bbolt database, or a damaged one. */
export class MalformedDatabase extends Error {}

const magic = 0xed0cdaed;
const formatVersion = 2;
const pageHeader = 16;
const metaSize = 64;
const flags = { branch: 1, leaf: 2, meta: 4 } as const;
const bucketFlag = 1;
/** A page can hold one value, of the largest request that etcd takes; this is far above. */
const largestPage = 256 * 2 ** 20;
/** Pages hold two keys at least, so a tree of this depth has more pages than a disk. */
const deepest = 64;

interface Meta {
  readonly pageSize: number;
  readonly root: bigint;
  /** No page has this number or a higher one. */
  readonly highWater: bigint;
  readonly transaction: bigint;
}

/** One key of a leaf. */
interface Item {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly isBucket: boolean;
}

interface Page {
  readonly isLeaf: boolean;
  readonly count: number;
  readonly bytes: Buffer;
}

/** FNV-1a, 64 bits. */
function fnv1a(bytes: Buffer): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  }
  return hash;
}

function parseMeta(page: Buffer): Meta | string {
  if (page.length < pageHeader + metaSize) {
    return "the file is too short";
  }
  const meta = page.subarray(pageHeader, pageHeader + metaSize);
  if (meta.readUInt32LE(0) !== magic || meta.readUInt32LE(4) !== formatVersion) {
    return "no meta page of bbolt";
  }
  if (fnv1a(meta.subarray(0, 56)) !== meta.readBigUInt64LE(56)) {
    return "a meta page has a wrong checksum";
  }
  const pageSize = meta.readUInt32LE(8);
  if (pageSize < 512 || pageSize > 65536 || (pageSize & (pageSize - 1)) !== 0) {
    return `pages of ${pageSize} bytes`;
  }
  return {
    pageSize,
    root: meta.readBigUInt64LE(16),
    highWater: meta.readBigUInt64LE(40),
    transaction: meta.readBigUInt64LE(48),
  };
}

async function readAt(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(buffer, filled, length - filled, offset + filled);
    if (bytesRead === 0) {
      break;
    }
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

/**
 * The newer of the two good meta pages. bbolt goes on with one when the other is damaged, and says nothing; a crash does not explain
 * that, because a meta page fits a sector and sectors are written whole.
 */
async function readMeta(file: FileHandle): Promise<{ meta: Meta; damaged: string | undefined }> {
  const first = parseMeta(await readAt(file, 0, pageHeader + metaSize));
  if (typeof first !== "string") {
    const second = parseMeta(await readAt(file, first.pageSize, pageHeader + metaSize));
    if (typeof second === "string") {
      return { meta: first, damaged: second };
    }
    return { meta: first.transaction > second.transaction ? first : second, damaged: undefined };
  }
  // The page size is in the page that is damaged.
  for (let pageSize = 512; pageSize <= 65536; pageSize *= 2) {
    const second = parseMeta(await readAt(file, pageSize, pageHeader + metaSize));
    if (typeof second !== "string" && second.pageSize === pageSize) {
      return { meta: second, damaged: first };
    }
  }
  throw new MalformedDatabase(first);
}

/** A bbolt database that nobody writes to. */
export class Bolt {
  readonly #file: FileHandle;
  readonly #size: number;
  readonly #meta: Meta;
  /** What is wrong with one of the two meta pages, when the other is good. */
  readonly damagedMeta: string | undefined;

  private constructor(file: FileHandle, size: number, meta: Meta, damagedMeta: string | undefined) {
    this.#file = file;
    this.#size = size;
    this.#meta = meta;
    this.damagedMeta = damagedMeta;
  }

  /** Opens a file for as long as an action takes. */
  static async with<T>(path: string, action: (bolt: Bolt) => Promise<T>): Promise<T> {
    const file = await open(path, "r");
    try {
      const { size } = await file.stat();
      const { meta, damaged } = await readMeta(file);
      if (meta.highWater * BigInt(meta.pageSize) > BigInt(size)) {
        throw new MalformedDatabase("the file is shorter than it says");
      }
      return await action(new Bolt(file, size, meta, damaged));
    } finally {
      await file.close();
    }
  }

  /** The bucket of a name, if there is one. */
  async bucket(name: string): Promise<Bucket | undefined> {
    const item = await this.#find(await this.#page(this.#meta.root), Buffer.from(name), 0);
    if (item === undefined) {
      return undefined;
    }
    if (!item.isBucket || item.value.length < 16) {
      throw new MalformedDatabase(`${name} is not a bucket`);
    }
    const root = item.value.readBigUInt64LE(0);
    // A small bucket stands inside its parent, behind its header.
    const page = root === 0n ? this.#parse(item.value.subarray(16), 0n) : await this.#page(root);
    return {
      get: async (key) => (await this.#find(page, Buffer.from(key), 0))?.value,
      lastKey: async () => (await this.#last(page, 0))?.key,
    };
  }

  async #page(id: bigint): Promise<Page> {
    const { pageSize, highWater } = this.#meta;
    if (id < 2n || id >= highWater) {
      throw new MalformedDatabase(`page ${id} is outside of the file`);
    }
    const offset = Number(id) * pageSize;
    const head = await readAt(this.#file, offset, pageHeader);
    if (head.length < pageHeader) {
      throw new MalformedDatabase(`page ${id} is outside of the file`);
    }
    const length = (head.readUInt32LE(12) + 1) * pageSize;
    if (length > largestPage || offset + length > this.#size) {
      throw new MalformedDatabase(`page ${id} claims ${length} bytes`);
    }
    return this.#parse(await readAt(this.#file, offset, length), id);
  }

  #parse(bytes: Buffer, id: bigint): Page {
    if (bytes.length < pageHeader || bytes.readBigUInt64LE(0) !== id) {
      throw new MalformedDatabase(`page ${id} is not what stands in its place`);
    }
    const kind = bytes.readUInt16LE(8);
    const count = bytes.readUInt16LE(10);
    if (kind !== flags.branch && kind !== flags.leaf) {
      throw new MalformedDatabase(`page ${id} is neither branch nor leaf`);
    }
    if (pageHeader + count * 16 > bytes.length || (kind === flags.branch && count === 0)) {
      throw new MalformedDatabase(`page ${id} claims ${count} keys`);
    }
    return { isLeaf: kind === flags.leaf, count, bytes };
  }

  /** The keys of a branch, with the page that each leads to. */
  #child(page: Page, place: number): { key: Buffer; id: bigint } {
    const at = pageHeader + place * 16;
    const key = part(page, at + page.bytes.readUInt32LE(at), page.bytes.readUInt32LE(at + 4));
    return { key, id: page.bytes.readBigUInt64LE(at + 8) };
  }

  #item(page: Page, place: number): Item {
    const at = pageHeader + place * 16;
    const start = at + page.bytes.readUInt32LE(at + 4);
    const keyLength = page.bytes.readUInt32LE(at + 8);
    return {
      isBucket: (page.bytes.readUInt32LE(at) & bucketFlag) !== 0,
      key: part(page, start, keyLength),
      value: part(page, start + keyLength, page.bytes.readUInt32LE(at + 12)),
    };
  }

  async #find(page: Page, key: Buffer, depth: number): Promise<Item | undefined> {
    limitDepth(depth);
    if (page.isLeaf) {
      for (let place = 0; place < page.count; place += 1) {
        const item = this.#item(page, place);
        if (item.key.equals(key)) {
          return item;
        }
      }
      return undefined;
    }
    let id = this.#child(page, 0).id;
    for (let place = 1; place < page.count; place += 1) {
      const child = this.#child(page, place);
      if (child.key.compare(key) > 0) {
        break;
      }
      id = child.id;
    }
    return this.#find(await this.#page(id), key, depth + 1);
  }

  async #last(page: Page, depth: number): Promise<Item | undefined> {
    limitDepth(depth);
    if (page.isLeaf) {
      return page.count === 0 ? undefined : this.#item(page, page.count - 1);
    }
    return this.#last(await this.#page(this.#child(page, page.count - 1).id), depth + 1);
  }
}

/** A bucket of a database. */
export interface Bucket {
  get(key: string): Promise<Buffer | undefined>;
  /** The greatest key; undefined in an empty bucket. */
  lastKey(): Promise<Buffer | undefined>;
}

function part(page: Page, start: number, length: number): Buffer {
  if (start + length > page.bytes.length) {
    throw new MalformedDatabase("a key is outside of its page");
  }
  return page.bytes.subarray(start, start + length);
}

function limitDepth(depth: number): void {
  if (depth > deepest) {
    throw new MalformedDatabase("a tree of pages that does not end");
  }
}
