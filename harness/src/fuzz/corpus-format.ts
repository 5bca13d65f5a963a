/** An input as text: JSON, with bytes and big integers in it. */
export function toText(input: unknown): string {
  const withTags = (_key: string, value: unknown): unknown => {
    if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString('base64') };
    if (typeof value === 'bigint') return { $bigint: String(value) };
    return value;
  };
  return JSON.stringify(input, withTags, 2);
}

/** What was written by {@link toText}. */
export function fromText(text: string): unknown {
  return JSON.parse(text, (_key, value: unknown) => {
    if (typeof value !== 'object' || value === null) return value;
    if ('$bytes' in value) return new Uint8Array(Buffer.from(String(value.$bytes), 'base64'));
    if ('$bigint' in value) return BigInt(String(value.$bigint));
    return value;
  });
}
