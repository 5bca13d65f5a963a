/** A change of bytes. Places are taken modulo the length. */
export type Edit =
  | { readonly kind: 'flip'; readonly at: number; readonly mask: number }
  | { readonly kind: 'overwrite'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'insert'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'remove'; readonly at: number; readonly length: number }
  | {
      readonly kind: 'duplicate';
      readonly from: number;
      readonly length: number;
      readonly at: number;
      readonly over: boolean;
    }
  | { readonly kind: 'zero'; readonly at: number; readonly length: number }
  | { readonly kind: 'cut'; readonly at: number };

/** The bytes with one edit after the other made to them: a copy. */
export function edited(bytes: Uint8Array, edits: readonly Edit[]): Uint8Array {
  return edits.reduce(afterEdit, bytes.slice());
}

function afterEdit(bytes: Uint8Array, edit: Edit): Uint8Array {
  const at = edit.at % (bytes.length + 1);
  switch (edit.kind) {
    case 'flip':
      if (at < bytes.length) bytes[at] = (bytes[at] as number) ^ edit.mask;
      return bytes;
    case 'overwrite':
      return overwritten(bytes, at, edit.bytes);
    case 'insert':
      return joined(bytes.subarray(0, at), edit.bytes, bytes.subarray(at));
    case 'remove':
      return joined(bytes.subarray(0, at), bytes.subarray(at + edit.length));
    case 'duplicate': {
      const from = edit.from % (bytes.length + 1);
      const copy = bytes.slice(from, from + edit.length);
      return edit.over ? overwritten(bytes, at, copy) : joined(bytes.subarray(0, at), copy, bytes.subarray(at));
    }
    case 'zero':
      bytes.fill(0, at, at + edit.length);
      return bytes;
    case 'cut':
      return bytes.slice(0, at);
  }
}

const joined = (...parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));

function overwritten(bytes: Uint8Array, at: number, by: Uint8Array): Uint8Array {
  bytes.set(by.subarray(0, bytes.length - at), at);
  return bytes;
}
