/** Instance types the lab launches, with their memory in MiB. Others are refused: their size would be made up. */
const memoryMiB: Readonly<Record<string, number>> = {
  "t3.nano": 512,
  "t3.micro": 1024,
  "t3.small": 2048,
  "t3.medium": 4096,
  "t3.large": 8192,
  "t3a.nano": 512,
  "t3a.micro": 1024,
  "t3a.small": 2048,
  "t3a.medium": 4096,
  "t3a.large": 8192,
  "m5.large": 8192,
  "m5.xlarge": 16384,
  "m6i.large": 8192,
  "m6i.xlarge": 16384,
  "m6a.large": 8192,
  "m7i.large": 8192,
  "m7i.xlarge": 16384,
  "m7a.large": 8192,
  "c5.large": 4096,
  "c6i.large": 4096,
  "c7i.large": 4096,
  "c7i.xlarge": 8192,
  "r5.large": 16384,
  "r6i.large": 16384,
  "r7i.large": 16384,
};

/** Whether the lab launches this type. */
export function isKnownType(type: string): boolean {
  return Object.hasOwn(memoryMiB, type);
}

/** A type's memory. */
export function memoryOf(type: string): number {
  const memory = memoryMiB[type];
  if (memory === undefined) {
    throw new Error(`the lab does not know the instance type ${type} (lab/front/instanceTypes.ts)`);
  }
  return memory;
}
