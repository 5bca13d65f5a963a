const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The bytes that base64 stands for. @throws `Error` for anything else */
export function base64Of(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64');
  // Node.js ignores what is no base64.
  if (bytes.toString('base64') !== text) throw new Error('it is no base64, with its padding');
  return bytes;
}

/** The bytes that hexadecimal digits stand for. @throws `Error` for anything else */
export function hexOf(text: string): Buffer {
  if (text.length % 2 !== 0 || !/^[0-9a-f]*$/i.test(text))
    throw new Error('it is no even number of hexadecimal digits');
  return Buffer.from(text, 'hex');
}

/** Bytes that are JSON, as they are. @throws `Error` for anything else */
export function jsonOf(bytes: Buffer): Buffer {
  JSON.parse(strictUtf8.decode(bytes));
  return bytes;
}
