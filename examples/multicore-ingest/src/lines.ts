import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';

/** A line of the file, and its number from 1 on. */
export interface NumberedLine {
  readonly number: number;
  /** Its bytes, each as one character. */
  readonly text: string;
}

/** The core that a key belongs to: always the same one for the same key. */
function coreOf(key: string, cores: number): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < key.length; at++) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  return (hash >>> 0) % cores;
}

/** The key of a line: its text before the first blank that is not at its beginning. */
export const keyOf = (text: string): string => /^\s*\S*/.exec(text)?.[0].trim() ?? '';

/** The lines of a file that belong to a core, in order. Memory does not grow with the file. */
export async function* linesOf(path: string, coreId: number, cores: number): AsyncGenerator<NumberedLine> {
  const input = createReadStream(path, { encoding: 'latin1', highWaterMark: 256 * 1024 });
  let number = 0;
  for await (const text of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    number++;
    if (coreOf(keyOf(text), cores) === coreId) yield { number, text };
  }
}

/** How many lines a file has. */
export async function countLines(path: string): Promise<number> {
  let lines = 0;
  for await (const _line of linesOf(path, 0, 1)) lines++;
  return lines;
}

/** A line as it is stored in the log: its number in 8 bytes, then its text. */
export function encodeLine({ number, text }: NumberedLine): Buffer {
  const bytes = Buffer.allocUnsafe(8 + text.length);
  bytes.writeBigUInt64LE(BigInt(number), 0);
  bytes.write(text, 8, 'latin1');
  return bytes;
}

/** Decodes a stored line. */
export function decodeLine(bytes: Uint8Array): NumberedLine {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { number: Number(buffer.readBigUInt64LE(0)), text: buffer.toString('latin1', 8) };
}
