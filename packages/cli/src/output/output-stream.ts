import type { Writable } from 'node:stream';

/** A stream for output, as `process.stdout` and `process.stderr` are. */
export type OutputStream = Writable & { readonly isTTY?: boolean; readonly columns?: number };
