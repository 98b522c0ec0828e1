import fc from "fast-check";

import {
  blockSize,
  contains,
  formatAddress,
  formatCidr,
  isReserved,
  overlaps,
  parseAddress,
  parseCidr,
  subBlock,
  type Cidr,
} from "../../../components/plan/ipv4";
import {
  maxZones,
  memberPlaces,
  quorum,
  sizes,
  subnetLayout,
  toleratedFailures,
  zoneOfAddress,
  zonesNeeded,
} from "../../../components/plan/layout";

const address = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const cidr = (least: number, most: number): fc.Arbitrary<Cidr> =>
  fc.tuple(address, fc.integer({ min: least, max: most })).map(([any, prefix]) => ({
    first: any - (any % blockSize(prefix)),
    prefix,
  }));
const zoneNames = fc
  .uniqueArray(fc.constantFrom("a", "b", "c", "d", "e", "f", "g", "h"), {
    minLength: 1,
    maxLength: maxZones,
  })
  .map((letters) => letters.map((letter) => `eu-central-1${letter}`));

describe("addresses and blocks", () => {
  test("what is written can be read", () => {
    fc.assert(fc.property(address, (each) => parseAddress(formatAddress(each)) === each));
    fc.assert(
      fc.property(cidr(0, 32), (each) => {
        expect(parseCidr(formatCidr(each))).toEqual(each);
      }),
    );
  });

  test("what is no address is not read as one", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const read = parseAddress(text);
        return read === undefined || formatAddress(read) === text;
      }),
    );
  });

  test.each([
    "",
    "10.0.0.0",
    "10.0.0.0/33",
    "10.0.0.0/08",
    "10.0.0.1/24",
    "10.0.0/8",
    "a.b.c.d/8",
    "10.0.0.0/8 ",
  ])("%j is no block", (text) => {
    expect(parseCidr(text)).toBeUndefined();
  });

  test("blocks overlap exactly when they share an end", () => {
    fc.assert(
      fc.property(cidr(4, 32), cidr(4, 32), (a, b) => {
        const last = (each: Cidr) => each.first + blockSize(each.prefix) - 1;
        const share = Math.max(a.first, b.first) <= Math.min(last(a), last(b));
        return overlaps(a, b) === share && overlaps(b, a) === share;
      }),
    );
  });

  test("a block that does not exist is refused", () => {
    const parent = { first: 0, prefix: 30 };
    expect(() => subBlock(parent, 4, 0)).toThrow(/no block/);
    expect(() => subBlock({ first: 0, prefix: 16 }, 4, 16)).toThrow(/no block 16/);
  });
});

describe("subnets", () => {
  test("inside the VPC, apart from each other, usable, and all zones served", () => {
    fc.assert(
      fc.property(cidr(16, 24), zoneNames, (vpc, zones) => {
        const layout = subnetLayout(formatCidr(vpc), zones);
        expect(layout.map(({ zone }) => zone)).toEqual(zones);
        const all = layout.flatMap(({ publicCidr, privateCidr }) => [publicCidr, privateCidr]);
        const blocks = all.map((text) => parseCidr(text) ?? { first: -1, prefix: 0 });
        for (const [index, block] of blocks.entries()) {
          expect(contains(vpc, block.first)).toBe(true);
          expect(contains(vpc, block.first + blockSize(block.prefix) - 1)).toBe(true);
          expect(block.prefix).toBeLessThanOrEqual(28);
          for (const other of blocks.slice(index + 1)) {
            expect(overlaps(block, other)).toBe(false);
          }
        }
      }),
    );
  });

  test("appending a zone moves none", () => {
    fc.assert(
      fc.property(cidr(16, 24), zoneNames, (vpc, zones) => {
        const text = formatCidr(vpc);
        expect(subnetLayout(text, zones).slice(0, -1)).toEqual(
          subnetLayout(text, zones.slice(0, -1)),
        );
      }),
    );
  });

  test("AWS keeps five addresses of a subnet", () => {
    const subnet = { first: parseAddress("10.42.0.0") ?? 0, prefix: 28 };
    const kept = Array.from({ length: 16 }, (_, offset) => subnet.first + offset).filter((each) =>
      isReserved(subnet, each),
    );
    expect(kept.map((each) => each - subnet.first)).toEqual([0, 1, 2, 3, 15]);
  });

  test("an address tells its zone", () => {
    const layout = subnetLayout("10.42.0.0/16", ["x-1a", "x-1b"]);
    expect(zoneOfAddress("10.42.16.9", layout)).toBe("x-1b");
    expect(zoneOfAddress("10.43.0.9", layout)).toBeUndefined();
  });

  test("more zones than blocks is an error, not a wrong layout", () => {
    expect(() => subnetLayout("10.42.0.0/16", Array.from({ length: 9 }, String))).toThrow(
      /no layout/,
    );
  });
});

describe("members", () => {
  test("a larger cluster keeps every member of a smaller one in its zone", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...sizes),
        fc.constantFrom(...sizes),
        zoneNames,
        (a, b, zones) => {
          const [small, large] = [Math.min(a, b), Math.max(a, b)];
          expect(memberPlaces(large, zones).slice(0, small)).toEqual(memberPlaces(small, zones));
        },
      ),
    );
  });

  test("with as many zones as needed, the loss of any leaves a quorum; with one less it does not", () => {
    for (const size of sizes.filter((each) => each > 1)) {
      const worst = (count: number) => {
        const zones = Array.from({ length: count }, (_, index) => `z${index}`);
        const members = memberPlaces(size, zones);
        return Math.max(
          ...zones.map((zone) => members.filter((each) => each.zone === zone).length),
        );
      };
      expect(size - worst(zonesNeeded(size))).toBeGreaterThanOrEqual(quorum(size));
      expect(size - worst(zonesNeeded(size) - 1)).toBeLessThan(quorum(size));
    }
  });

  test("an even size tolerates no more than the odd one below it", () => {
    for (const even of [2, 4, 6, 8]) {
      expect(toleratedFailures(even)).toBe(toleratedFailures(even - 1));
    }
  });
});
