import { createSecretKey, type KeyObject } from 'node:crypto';
import { checkBytes, checkInteger, invalidType, notConstructible } from '../arguments/checks.js';
import { WalError } from '../errors.js';
import { type KeyFile, readKeyFile, readKeyFileSync } from './key-file.js';

/** Bytes of a key. */
export const KEY_BYTES = 32;

/** A master key and the number by which segments name it. */
export interface EncryptionKey {
  /** 1 to 2^32 − 1. */
  readonly id: number;
  /** 32 bytes, random: not a password. */
  readonly key: Uint8Array;
}

/** Returns the key with an id, or a promise of it; `undefined` when there is no key with this id. */
export type KeySource = (id: number) => Uint8Array | undefined | PromiseLike<Uint8Array | undefined>;

let masterKeys: (ring: KeyRing) => ReadonlyMap<number, KeyObject>;

/**
 * The master keys of a log: the current one, which encrypts new segments, and any number of earlier ones, which decrypt
 * the segments whose headers name them. Several logs may share a ring.
 *
 * `console.log`, `JSON.stringify` and errors never show the keys of a ring.
 */
export class KeyRing {
  readonly #keys = new Map<number, KeyObject>();
  readonly #source: KeySource | undefined;
  /** Calls of the source that have not returned a key yet, by key id. */
  readonly #loading = new Map<number, Promise<void>>();
  #currentId: number;

  static {
    masterKeys = (ring) => ring.#keys;
  }

  private constructor(currentId: number, source?: KeySource) {
    if (typeof currentId !== 'number') throw notConstructible('KeyRing', 'use KeyRing.of, fromFile or fromCallback');
    this.#currentId = currentId;
    this.#source = source;
  }

  /**
   * A ring of the given keys.
   *
   * @param current - the key for new segments
   * @param earlier - keys that existing segments are encrypted with
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
   * Reads a ring from a JSON file: `{ "current": 2, "keys": { "1": "…", "2": "…" } }`, each key 32 bytes in hexadecimal
   * digits or base64. On POSIX systems the file must not be accessible to group or others.
   *
   * @throws `WAL_BAD_KEY` with `reason` `'permissions'` when group or others have access to the file, or `'key-file'` when
   * its content is not valid; `WAL_NOT_FOUND`, `WAL_IO_FAILED`
   */
  static async fromFile(path: string | URL): Promise<KeyRing> {
    return ringOf(await readKeyFile(path));
  }

  /** Like {@link fromFile}, blocking the thread. */
  static fromFileSync(path: string | URL): KeyRing {
    return ringOf(readKeyFileSync(path));
  }

  /**
   * A ring that loads each key from a callback when it is first needed, and then keeps it: for a key service. A blocking
   * call needs a callback that returns the key itself. If it returns a promise, {@link load} the keys first.
   *
   * @param currentId - id of the key for new segments, 1 to 2^32 − 1
   * @param source - called once for each id, and again after it failed or returned no key
   */
  static fromCallback(currentId: number, source: KeySource): KeyRing {
    if (typeof source !== 'function') throw invalidType('source', 'a function', source);
    return new KeyRing(checkId('currentId', currentId), source);
  }

  /** Id of the key that encrypts new segments. */
  get currentId(): number {
    return this.#currentId;
  }

  /** Ids of the keys in the ring, in ascending order. */
  get ids(): readonly number[] {
    return [...this.#keys.keys()].sort((a, b) => a - b);
  }

  /** Whether the key with this id is in the ring. */
  has(id: number): boolean {
    return this.#keys.has(id);
  }

  /** Whether this ring and another one both have a key with this id, and it is the same key. */
  shares(id: number, other: KeyRing): boolean {
    const key = this.#keys.get(id);
    const same = other.#keys.get(id);
    return key !== undefined && same !== undefined && key.equals(same);
  }

  /**
   * Adds a key. {@link use}, or `rotateKey` of a log, makes it the current one.
   *
   * @throws `WAL_STATE` when the ring already has a different key with this id; `TypeError`, `RangeError`
   */
  add(key: EncryptionKey): void {
    const { id } = checkKey('key', key);
    const added = createSecretKey(key.key);
    const present = this.#keys.get(id);
    if (present !== undefined && !present.equals(added)) {
      throw new WalError('WAL_STATE', `the ring already has a different key ${id}: give this one another id`, {
        keyId: id,
      });
    }
    this.#keys.set(id, added);
  }

  /**
   * Makes a key the current one: segments created from now on are encrypted with it. `rotateKey` of a log does this and
   * also rolls to a new segment at once.
   *
   * @throws `WAL_BAD_KEY` when it is not in the ring: {@link add} or {@link load} it first
   */
  use(id: number): void {
    if (!this.#keys.has(checkId('id', id))) throw missingKey(id, `key ${id} is not in the ring`);
    this.#currentId = id;
  }

  /**
   * Loads the keys with these ids from the callback, as far as it has them. Without a callback it does nothing.
   *
   * @param ids - default: the id of the current key
   * @throws `WAL_BAD_KEY` with `reason` `'key-source'` and a `cause` when the callback fails, or returns something other
   * than a key of 32 bytes
   */
  async load(ids: readonly number[] = [this.#currentId]): Promise<void> {
    for (const id of this.#missingOf(ids)) {
      if (!this.#keys.has(id)) await (this.#loading.get(id) ?? this.#load(id));
    }
  }

  /**
   * Like {@link load}, synchronously.
   *
   * @throws `WAL_UNSUPPORTED` when the callback returns a promise
   */
  loadSync(ids: readonly number[] = [this.#currentId]): void {
    for (const id of this.#missingOf(ids)) {
      if (!this.#keys.has(id)) this.#take(id, this.#askSync(id));
    }
  }

  #missingOf(ids: readonly number[]): readonly number[] {
    if (this.#source === undefined) return [];
    return ids.filter((id) => !this.#keys.has(checkId('id', id)));
  }

  #ask(id: number): ReturnType<KeySource> {
    return this.#source?.(id);
  }

  /** Loads a key; other calls that need it meanwhile wait for the same load. */
  #load(id: number): Promise<void> {
    const loading = this.#asking(id).finally(() => this.#loading.delete(id));
    this.#loading.set(id, loading);
    return loading;
  }

  #askSync(id: number): Uint8Array | undefined {
    let answer: ReturnType<KeySource>;
    let isLater = false;
    try {
      answer = this.#ask(id);
      isLater = isThenable(answer);
      // Nothing awaits this promise: without a handler its rejection would be an unhandled one.
      if (isThenable(answer)) answer.then(undefined, () => {});
    } catch (error) {
      throw sourceFailed(id, error);
    }
    if (isLater) throw answersWithPromise(id);
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

/** The master key with an id, if it is in the ring. */
export const masterKeyOf = (ring: KeyRing, id: number): KeyObject | undefined => masterKeys(ring).get(id);

/** The error for a key that is needed and is not in the ring. */
export function missingKey(keyId: number, what: string, path?: string): WalError {
  const facts = { reason: 'missing-key', keyId };
  return new WalError(
    'WAL_BAD_KEY',
    `${what}: give a key ring with key ${keyId}`,
    path === undefined ? facts : { ...facts, path },
  );
}

function ringOf({ current, keys }: KeyFile): KeyRing {
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

/** The text of a thrown value: anything can be thrown, also a value that `String` cannot convert. */
function textOf(cause: unknown): string {
  try {
    return String(cause);
  } catch {
    return 'it threw a value that cannot be converted to text';
  }
}

function answersWithPromise(id: number): WalError {
  return new WalError(
    'WAL_UNSUPPORTED',
    `the callback of the key ring returned a promise for key ${id}, and a blocking call cannot await it: use the ` +
      `asynchronous call, or await ring.load([${id}]) first`,
    { operation: 'load-key', keyId: id },
  );
}
