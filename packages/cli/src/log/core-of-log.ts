import { closeSync, openSync, readSync } from 'node:fs';
import { basename, join } from 'node:path';
import {
  decodeSegmentHeader,
  isCoreDirectoryName,
  parseSegmentFileName,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
} from '@walstack/codec';

/** The id in the name of a core's directory. */
export const coreIdOf = (name: string): number => Number(/\d+$/.exec(name)?.[0]);

/**
 * The core that a log belongs to; `undefined` for a log of its own. Its newest segments say that: a name may be that of a core by
 * chance, and a link to the log of a core has any name. Where none of them can be read, the name decides.
 */
export function coreOfLog(directory: string, names: readonly string[]): number | undefined {
  const name = basename(directory);
  const named = isCoreDirectoryName(name) ? coreIdOf(name) : undefined;
  const header = newestHeader(directory, names);
  if (header === undefined) return named;
  return header.coreId === undefined ? undefined : (named ?? header.coreId);
}

function newestHeader(directory: string, names: readonly string[]): SegmentHeader | undefined {
  const segments = names.flatMap((name) => {
    const parsed = parseSegmentFileName(name);
    return parsed === undefined ? [] : [{ name, number: parsed.number }];
  });
  for (const { name } of segments.sort((a, b) => b.number - a.number)) {
    const header = headerOf(join(directory, name));
    if (header !== undefined) return header;
  }
  return undefined;
}

/** `undefined` for a header that cannot be read: what is wrong with it is found by the command itself. */
function headerOf(path: string): SegmentHeader | undefined {
  const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    readSync(file, bytes, 0, bytes.length, 0);
    return decodeSegmentHeader(bytes, path);
  } catch {
    return undefined;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
