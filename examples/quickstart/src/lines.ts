import { createReadStream } from 'node:fs';

const LINE_FEED = 0x0a;

/** A line of a file. */
export interface Line {
  /** Its bytes, without the line feed. */
  readonly bytes: Buffer;
  /** Whether a line feed ends it: only the last line of a file can lack it. */
  readonly ended: boolean;
}

/** The lines of a file, read in pieces: the file may be of any size and need not be text. */
export async function* linesOf(path: string): AsyncGenerator<Line, void, undefined> {
  const begun: Buffer[] = [];
  for await (const piece of createReadStream(path) as AsyncIterable<Buffer>) {
    let start = 0;
    for (let end = piece.indexOf(LINE_FEED); end !== -1; end = piece.indexOf(LINE_FEED, start)) {
      begun.push(piece.subarray(start, end));
      yield { bytes: Buffer.concat(begun), ended: true };
      begun.length = 0;
      start = end + 1;
    }
    if (start < piece.length) begun.push(piece.subarray(start));
  }
  if (begun.length > 0) yield { bytes: Buffer.concat(begun), ended: false };
}

/** How many lines a file has. */
export async function countLines(path: string): Promise<number> {
  let count = 0;
  for await (const _line of linesOf(path)) count++;
  return count;
}
