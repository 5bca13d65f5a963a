import { readSync } from 'node:fs';

/** One line of the standard input, or what there is when the other end has closed. */
export function readLine(): string {
  const chunk = Buffer.alloc(4096);
  let text = '';
  while (!text.endsWith('\n')) {
    const bytes = readSync(0, chunk);
    if (bytes === 0) break;
    text += chunk.toString('utf8', 0, bytes);
  }
  return text;
}
