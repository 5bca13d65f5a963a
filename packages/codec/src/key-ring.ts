import { createSecretKey, type KeyObject } from 'node:crypto';
import { checkBytes, checkInteger, invalidType } from './arguments.js';
import { WalError } from './errors.js';
import { parseKeyFile, readKeyFile, readKeyFileSync } from './key-file.js';

/** Bytes of a key. */
export const KEY_BYTES = 32;

/** A master key and the number by which segments name it. */
export interface EncryptionKey {
  /** 1 to 2^32 − 1. */
  readonly id: number;
  /** 32 bytes, random: not a password. */
  readonly key: Uint8Array;
}

/** Asks for a key by its id; `undefined` when there is none of this id. May answer later. */
export type KeySource = (id: number) => Uint8Array | undefined | PromiseLike<Uint8Array | undefined>;

let masterKeys: (ring: KeyRing) => ReadonlyMap<number, KeyObject>;

/**
 * The master keys of a log: the current one, which new segments are encrypted with, and any number of earlier ones for
 * the segments that name them. Several logs may share a ring.
 *
 * What is in the ring is not shown by `console.log`, `JSON.stringify` or an error.
 */
export class KeyRing {
  readonly #keys = new Map<number, KeyObject>();
  readonly #source: KeySource | undefined;
  /** What was asked for and is not answered yet. */
  readonly #loading = new Map<number, Promise<void>>();
  #currentId: number;

  static {
    masterKeys = (ring) => ring.#keys;
  }

  private constructor(currentId: number, source?: KeySource) {
    this.#currentId = currentId;
    this.#source = source;
  }

  /**
   * A ring of keys that are at hand.
   *
   * @param current - what new segments are encrypted with
   * @param earlier - what there are still segments of
   * @throws `TypeError`, `RangeError` for anything but ids from 1 to 2^32 − 1 and keys of 32 bytes; `WAL_STATE` for two
   * keys with one id
   */
  static of(current: EncryptionKey, earlier: readonly EncryptionKey[] = []): KeyRing {
    const ring = new KeyRing(checkKey('current', current).id);
    ring.add(current);
    if (!Array.isArray(earlier)) throw invalidType('earlier', 'an array of keys', earlier);
    for (const key of earlier) ring.add(key);
    return ring;
  }

  /**
   * The ring that a file holds, which is JSON: `{ "current": 2, "keys": { "1": "…", "2": "…" } }`, each key 32 bytes in
   * hexadecimal digits or base64. Only its owner may have rights on the file, where the platform knows such rights.
   *
   * @throws `WAL_BAD_KEY` with `reason` `'permissions'` when others could read or change the file, or `'key-file'` when it
   * is not what it should be; `WAL_NOT_FOUND`, `WAL_IO_FAILED`
   */
  static async fromFile(path: string): Promise<KeyRing> {
    return ringOf(parseKeyFile(path, await readKeyFile(path)));
  }

  /** Like {@link fromFile}, blocking the thread. */
  static fromFileSync(path: string): KeyRing {
    return ringOf(parseKeyFile(path, readKeyFileSync(path)));
  }

  /**
   * A ring that asks for each key when it is needed, and then keeps it: for a key service. What is asked for in a blocking
   * call has to be answered at once; where the service answers later, {@link load} the keys before.
   *
   * @param currentId - id of the key for new segments, 1 to 2^32 − 1
   * @param source - asked once for each id, and again when it failed or had no key
   */
  static fromCallback(currentId: number, source: KeySource): KeyRing {
    if (typeof source !== 'function') throw invalidType('source', 'a function', source);
    return new KeyRing(checkId('currentId', currentId), source);
  }

  /** Id of the key that new segments are encrypted with. */
  get currentId(): number {
    return this.#currentId;
  }

  /** Ids of the keys that are at hand, in ascending order. */
  get ids(): readonly number[] {
    return [...this.#keys.keys()].sort((a, b) => a - b);
  }

  /** Whether the key with this id is at hand. */
  has(id: number): boolean {
    return this.#keys.has(id);
  }

  /** Whether the key with this id is at hand in this ring and in another one, and the same in both. */
  shares(id: number, other: KeyRing): boolean {
    const key = this.#keys.get(id);
    const same = other.#keys.get(id);
    return key !== undefined && same !== undefined && key.equals(same);
  }

  /**
   * Adds a key. It becomes the current one by {@link use}, or by `rotateKey` of a log.
   *
   * @throws `WAL_STATE` when there is another key with this id already; `TypeError`, `RangeError`
   */
  add(key: EncryptionKey): void {
    const { id } = checkKey('key', key);
    const added = createSecretKey(key.key);
    const present = this.#keys.get(id);
    if (present !== undefined && !present.equals(added)) {
      throw new WalError('WAL_STATE', `there is another key ${id} in the ring: give this one an id of its own`, {
        keyId: id,
      });
    }
    this.#keys.set(id, added);
  }

  /**
   * Makes a key the current one: segments that are made from now on are encrypted with it. `rotateKey` of a log does this,
   * and has a new segment made at once.
   *
   * @throws `WAL_BAD_KEY` when it is not at hand: {@link add} or {@link load} it before
   */
  use(id: number): void {
    if (!this.#keys.has(checkId('id', id))) throw missingKey(id, `key ${id} is not in the ring`);
    this.#currentId = id;
  }

  /**
   * Has the keys with these ids at hand, as far as the callback knows them. Without a callback there is nothing to do.
   *
   * @param ids - default: that of the current key
   * @throws `WAL_BAD_KEY` with `reason` `'key-source'` and a `cause` when the callback fails, or gives no key of 32 bytes
   */
  async load(ids: readonly number[] = [this.#currentId]): Promise<void> {
    for (const id of this.#unknown(ids)) {
      if (!this.#keys.has(id)) await (this.#loading.get(id) ?? this.#load(id));
    }
  }

  /**
   * Like {@link load}, at once.
   *
   * @throws `WAL_UNSUPPORTED` when the callback answers with a promise
   */
  loadSync(ids: readonly number[] = [this.#currentId]): void {
    for (const id of this.#unknown(ids)) {
      if (!this.#keys.has(id)) this.#take(id, this.#askNow(id));
    }
  }

  #unknown(ids: readonly number[]): readonly number[] {
    if (this.#source === undefined) return [];
    return ids.filter((id) => !this.#keys.has(checkId('id', id)));
  }

  #ask(id: number): ReturnType<KeySource> {
    return this.#source?.(id);
  }

  /** Asks for a key; calls that need it meanwhile wait for the same answer. */
  #load(id: number): Promise<void> {
    const loading = this.#asking(id).finally(() => this.#loading.delete(id));
    this.#loading.set(id, loading);
    return loading;
  }

  #askNow(id: number): Uint8Array | undefined {
    let answer: ReturnType<KeySource>;
    let isLater = false;
    try {
      answer = this.#ask(id);
      isLater = isThenable(answer);
      // It is not waited for: its failure is none of the process.
      if (isThenable(answer)) answer.then(undefined, () => {});
    } catch (error) {
      throw sourceFailed(id, error);
    }
    if (isLater) throw answersLater(id);
    return answer as Uint8Array | undefined;
  }

  async #asking(id: number): Promise<void> {
    let key: Uint8Array | undefined;
    try {
      key = await this.#ask(id);
    } catch (error) {
      throw sourceFailed(id, error);
    }
    this.#take(id, key);
  }

  #take(id: number, key: Uint8Array | undefined): void {
    if (key === undefined) return;
    try {
      this.add({ id, key });
    } catch (error) {
      throw sourceFailed(id, error);
    }
  }
}

/** The master key with an id, if it is at hand. */
export const masterKeyOf = (ring: KeyRing, id: number): KeyObject | undefined => masterKeys(ring).get(id);

/** A key that is needed and is not there. */
export function missingKey(keyId: number, what: string, path?: string): WalError {
  const facts = { reason: 'missing-key', keyId };
  return new WalError(
    'WAL_BAD_KEY',
    `${what}: give a key ring with key ${keyId}`,
    path === undefined ? facts : { ...facts, path },
  );
}

function ringOf({ current, keys }: ReturnType<typeof parseKeyFile>): KeyRing {
  const currentKey = keys.find(({ id }) => id === current) as EncryptionKey;
  return KeyRing.of(currentKey, keys);
}

const checkId = (name: string, id: unknown): number => checkInteger(name, id, 1, 0xffff_ffff);

function checkKey(name: string, key: EncryptionKey): EncryptionKey {
  if (typeof key !== 'object' || key === null) throw invalidType(name, 'an object with id and key', key);
  checkId(`${name}.id`, key.id);
  checkBytes(`${name}.key`, key.key, KEY_BYTES);
  return key;
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';

function sourceFailed(id: number, cause: unknown): WalError {
  return new WalError(
    'WAL_BAD_KEY',
    `the callback of the key ring did not give key ${id}: ${textOf(cause)}`,
    { reason: 'key-source', keyId: id },
    { cause },
  );
}

/** Anything can be thrown, also what has no text. */
function textOf(cause: unknown): string {
  try {
    return String(cause);
  } catch {
    return 'it threw something that has no text';
  }
}

function answersLater(id: number): WalError {
  return new WalError(
    'WAL_UNSUPPORTED',
    `the callback of the key ring answers later for key ${id}, and this call cannot wait for it: use the call that gives a ` +
      `promise, or await ring.load([${id}]) before`,
    { operation: 'load-key', keyId: id },
  );
}
