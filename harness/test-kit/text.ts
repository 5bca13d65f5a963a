/** Bytes as text, for comparing. */
export const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
