import { KeyRing } from '@walstack/codec';

const key = (id: number): { id: number; key: Uint8Array } => ({ id, key: new Uint8Array(32).fill(id) });

/** A ring of three keys, whose current one is the first. Each run that rotates has its own: rotating changes it. */
export const makeKeys = (): KeyRing => KeyRing.of(key(1), [key(2), key(3)]);
