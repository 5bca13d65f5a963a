/** What is to be in an archive. */
export interface CpioEntry {
  /** Without a slash in front. */
  readonly name: string;
  readonly mode: number;
  readonly bytes: Uint8Array;
}

const ALIGNMENT = 4;
const TRAILER = 'TRAILER!!!';

const padding = (length: number): Buffer => Buffer.alloc((ALIGNMENT - (length % ALIGNMENT)) % ALIGNMENT);

/** An archive in the format "newc", of which Linux makes its first file system. */
export function cpioOf(entries: readonly CpioEntry[]): Buffer {
  const parts = entries.flatMap((entry, index) => partsOf(entry, index + 1));
  return Buffer.concat([...parts, ...partsOf({ name: TRAILER, mode: 0, bytes: new Uint8Array(0) }, 0)]);
}

function partsOf({ name, mode, bytes }: CpioEntry, inode: number): Uint8Array[] {
  const nameBytes = Buffer.from(`${name}\0`);
  // inode, mode, uid, gid, links, mtime, size, device, device of a device file, length of the name, checksum
  const fields = [inode, mode, 0, 0, 1, 0, bytes.length, 0, 0, 0, 0, nameBytes.length, 0];
  const head = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`;
  const front = Buffer.concat([Buffer.from(head), nameBytes]);
  return [front, padding(front.length), bytes, padding(bytes.length)];
}
