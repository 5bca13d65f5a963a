import { createReadStream } from 'node:fs';

const LINE_FEED = 0x0a;

/**
 * The lines of a file as bytes, without their line feeds, read in pieces: the file may be of any size and need not be
 * text.
 */
export async function* linesOf(path: string): AsyncGenerator<Buffer, void, undefined> {
  const begun: Buffer[] = [];
  for await (const piece of createReadStream(path) as AsyncIterable<Buffer>) {
    let start = 0;
    for (let end = piece.indexOf(LINE_FEED); end !== -1; end = piece.indexOf(LINE_FEED, start)) {
      begun.push(piece.subarray(start, end));
      yield begun.length === 1 ? (begun[0] as Buffer) : Buffer.concat(begun);
      begun.length = 0;
      start = end + 1;
    }
    if (start < piece.length) begun.push(piece.subarray(start));
  }
  if (begun.length > 0) yield Buffer.concat(begun);
}

/** How many lines a file has. */
export async function countLines(path: string): Promise<number> {
  let count = 0;
  for await (const _line of linesOf(path)) count++;
  return count;
}
