import { KeyRing } from '@walstack/codec';

/** The key with this id, of every ring of {@link ringOf}. */
export const keyOf = (id: number): Uint8Array => new Uint8Array(32).fill(id);

/** A ring that encrypts under one key, and decrypts under earlier ones, too. */
export const ringOf = (current: number, ...earlier: readonly number[]): KeyRing =>
  KeyRing.of(
    { id: current, key: keyOf(current) },
    earlier.map((id) => ({ id, key: keyOf(id) })),
  );
