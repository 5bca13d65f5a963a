import { closeSync, fstatSync, openSync, readFileSync, type Stats } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { checkPath, outOfRange } from '../arguments/checks.js';
import { WalError } from '../errors.js';

/** A larger file is not a key file. */
const KEY_FILE_BYTES_MAX = 1024 * 1024;

/** The two encodings of a key in a key file. */
const HEXADECIMAL = /^[0-9a-f]{64}$/i;
const BASE64 = /^[0-9a-z+/]{43}=$/i;

/** Rejects a key that was passed in place of a path: errors about a file contain its path, and would show the key. */
function checkKeyPath(path: unknown): string {
  const checked = checkPath('path', path);
  if (HEXADECIMAL.test(checked) || BASE64.test(checked)) throw outOfRange('path', 'a path, and not a key', checked);
  return checked;
}

/** The content of a key file. */
export interface KeyFile {
  /** Id of the current key. */
  readonly current: number;
  readonly keys: readonly { readonly id: number; readonly key: Uint8Array }[];
}

/** Reads and parses a key file after checking its permissions. @throws `WAL_BAD_KEY`, `WAL_NOT_FOUND`, `WAL_IO_FAILED` */
export async function readKeyFile(given: string | URL): Promise<KeyFile> {
  const path = checkKeyPath(given);
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'r');
    checkFile(path, await file.stat());
    return parseKeyFile(path, await file.readFile('utf8'));
  } catch (error) {
    throw asWalError(path, error);
  } finally {
    await file?.close();
  }
}

/** Like {@link readKeyFile}, blocking the thread. */
export function readKeyFileSync(given: string | URL): KeyFile {
  const path = checkKeyPath(given);
  let fd: number | undefined;
  try {
    fd = openSync(path, 'r');
    checkFile(path, fstatSync(fd));
    return parseKeyFile(path, readFileSync(fd, 'utf8'));
  } catch (error) {
    throw asWalError(path, error);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** Parses the content of a key file. @throws `WAL_BAD_KEY`, whose message contains nothing of the content */
function parseKeyFile(path: string, text: string): KeyFile {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    // The error of the parser quotes the text, which holds the keys.
    throw badFile(path, 'it is not JSON');
  }
  const { current, keys } = (isObject(content) ? content : {}) as { current?: unknown; keys?: unknown };
  if (!isObject(keys)) throw badFile(path, 'it has no object "keys"');
  const parsed = Object.entries(keys).map(([id, key]) => ({ id: idOf(path, id), key: keyOf(path, id, key) }));
  if (!parsed.some(({ id }) => id === current)) throw badFile(path, 'its "current" is not the id of one of its keys');
  return { current: current as number, keys: parsed };
}

/** Checks the file behind the open descriptor, and not its path: another file may have that name by now. */
function checkFile(path: string, stats: Stats): void {
  if (!stats.isFile() || stats.size > KEY_FILE_BYTES_MAX) throw badFile(path, 'it is not a file, or larger than 1 MiB');
  if (process.platform === 'win32' || (stats.mode & 0o077) === 0) return;
  const mode = (stats.mode & 0o777).toString(8);
  throw new WalError(
    'WAL_BAD_KEY',
    `group or others have access to the key file ${path} (mode ${mode}): chmod 600 it`,
    { path, reason: 'permissions' },
  );
}

function idOf(path: string, text: string): number {
  const id = Number(text);
  if (!/^[1-9]\d{0,9}$/.test(text) || id > 0xffff_ffff) throw badFile(path, 'an id is not from 1 to 4294967295');
  return id;
}

function keyOf(path: string, id: string, text: unknown): Uint8Array {
  if (typeof text === 'string') {
    if (HEXADECIMAL.test(text)) return new Uint8Array(Buffer.from(text, 'hex'));
    if (BASE64.test(text)) return new Uint8Array(Buffer.from(text, 'base64'));
  }
  throw badFile(path, `key ${id} is not 32 bytes in hexadecimal digits or base64`);
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function badFile(path: string, what: string): WalError {
  return new WalError('WAL_BAD_KEY', `${path} is not a key file: ${what}`, { path, reason: 'key-file' });
}

function asWalError(path: string, error: unknown): unknown {
  const { code } = error as { code?: unknown };
  if (WalError.is(error) || typeof code !== 'string') return error;
  const found = code !== 'ENOENT' && code !== 'ENOTDIR';
  return new WalError(
    found ? 'WAL_IO_FAILED' : 'WAL_NOT_FOUND',
    found ? `the key file ${path} cannot be read (${code})` : `there is no key file ${path}`,
    { path, operation: 'open', systemCode: code },
    { cause: error },
  );
}
