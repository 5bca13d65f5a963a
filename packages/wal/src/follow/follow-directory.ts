import type { KeyRing } from '@walstack/codec';
import { checkInteger, checkPath, invalidType, optionNames } from '@walstack/codec/internal';
import { checkDecoding, type StoredRecord } from '@walstack/mmap-reader/internal';
import { type Environment, systemEnvironment } from '@walstack/segmented';
import { openStorageIo, type StorageIo, type StorageIoName } from '@walstack/storage-io';
import { checkBackend } from '@walstack/storage-io/internal';
import { type AnyEncoding, checkedPayloads, type PayloadCodec, payloadCodecOf } from '../encoding.js';
import type { Encoded } from '../options.js';
import { checkSchema, checkSchemas, type EventSchemas, type StandardSchema } from '../schema.js';
import { DirectoryWatch } from './directory-watch.js';
import { follow, type WalFollower } from './follow.js';
import { checkFollow, FOLLOW_OPTIONS, type FollowFrom, type FollowOptions } from './follow-options.js';
import { LogActivity } from './log-activity.js';
import type { Followed } from './reading.js';
import { asStoredLog, type StoredFollowOptions } from './stored.js';

/** How to follow the log in a directory that another process writes. */
export interface FollowDirectoryOptions<E extends AnyEncoding = 'view'> extends FollowOptions {
  /** How payloads are decoded, as for `Wal.open`. Default `'view'`. */
  readonly encoding?: E;
  /** Checks payloads after they were decoded, as for `Wal.open`. */
  readonly schema?: StandardSchema;
  /** The same with a schema for each `type` of event, as for `Wal.open`. */
  readonly schemas?: EventSchemas;
  /** The keys of an encrypted log. */
  readonly keyRing?: KeyRing;
  /**
   * Accept records that are not encrypted, although there is a key ring. Default `false`: only records from before the log was
   * encrypted are accepted, as proved by a later record that the key opens.
   */
  readonly allowPlaintext?: boolean;
  /** The longest payload that is decompressed, in bytes. Default 64 MiB. */
  readonly maxPayloadBytes?: number;
  /** The backend, as for `Wal.open`. Default `'auto'`. */
  readonly io?: StorageIo | StorageIoName;
  /**
   * Look for new events after so many milliseconds without a notification of the operating system, for file systems that
   * do not report changes. At least 1. Default 1000.
   */
  readonly pollMs?: number;
  /** Sets timers. Default `setTimeout`, without keeping the process alive. */
  readonly setTimer?: Environment['setTimer'];
  /** The clock, milliseconds since the Unix epoch, for the time in the file of a follower with a name. Default `Date.now`. */
  readonly now?: Environment['now'];
}

/** The options of following with a given encoding. */
export type FollowEncoded<E extends AnyEncoding> = FollowDirectoryOptions<E> & Encoded<E>;

/** The default of `pollMs`. */
export const POLL_MS = 1000;

const OWN_OPTIONS = optionNames<Omit<FollowDirectoryOptions, keyof FollowOptions>>({
  encoding: true,
  schema: true,
  schemas: true,
  keyRing: true,
  allowPlaintext: true,
  maxPayloadBytes: true,
  io: true,
  pollMs: true,
  setTimer: true,
  now: true,
});

/** The options of following a directory. */
const FOLLOW_DIRECTORY_OPTIONS: readonly (keyof FollowDirectoryOptions)[] = [...FOLLOW_OPTIONS, ...OWN_OPTIONS];

/** The checked options of following a directory. */
interface DirectoryToFollow {
  readonly directory: string;
  readonly decoding: Followed<unknown>['decoding'];
  readonly io: StorageIo | StorageIoName;
  readonly pollMs: number;
  readonly setTimer: Environment['setTimer'];
  readonly now: Environment['now'];
}

/**
 * Follows the log in a directory that another process writes.
 *
 * @throws `TypeError`, `RangeError` with Node's codes
 */
export function followDirectory(
  path: string | URL,
  from: FollowFrom,
  options: FollowDirectoryOptions<AnyEncoding>,
): WalFollower<unknown> {
  const checkedPath = checkPath('path', path);
  const settings = checkFollow(from, options, FOLLOW_DIRECTORY_OPTIONS);
  const directory = checkDirectory(checkedPath, options);
  const { encoding = 'view', schema, schemas } = options;
  const payloads = checkedPayloads(
    payloadCodecOf(encoding),
    schema === undefined ? undefined : checkSchema('schema', schema),
    schemas === undefined ? undefined : checkSchemas('schemas', schemas),
  );
  return follow(() => openDirectory(directory, payloads), settings);
}

/** Follows the log in a directory that another process writes, and returns records as they are stored. No key is needed. */
export function followDirectoryStored(
  path: string,
  from: FollowFrom,
  options: StoredFollowOptions & Pick<FollowDirectoryOptions, 'io' | 'pollMs'>,
): WalFollower<readonly StoredRecord[]> {
  const settings = checkFollow<FollowDirectoryOptions>(from, options, FOLLOW_DIRECTORY_OPTIONS);
  const directory = checkDirectory(path, options);
  const open = () => asStoredLog(openDirectory(directory, payloadCodecOf('view')));
  return follow(open, settings) as unknown as WalFollower<readonly StoredRecord[]>;
}

function checkDirectory(path: string, options: FollowDirectoryOptions<AnyEncoding>): DirectoryToFollow {
  const { io = 'auto', pollMs = POLL_MS, setTimer = systemEnvironment.setTimer, now = systemEnvironment.now } = options;
  const { keyRing, allowPlaintext, maxPayloadBytes } = options;
  if (typeof setTimer !== 'function') throw invalidType('setTimer', 'a function', setTimer);
  if (typeof now !== 'function') throw invalidType('now', 'a function', now);
  checkBackend(io);
  return {
    directory: path,
    decoding: checkDecoding({ keyRing, allowPlaintext, maxPayloadBytes }),
    io,
    pollMs: checkInteger('pollMs', pollMs, 1, 0x7fff_ffff),
    setTimer,
    now,
  };
}

/** Opens a log that another process writes, or none, for following. Only a follower with a name has the log keep something. */
function openDirectory<T>(from: DirectoryToFollow, { toEvent }: PayloadCodec<T, never>): Followed<T> {
  const { directory, decoding, pollMs, setTimer, now } = from;
  const io = typeof from.io === 'string' ? openStorageIo(from.io, { needs: 'async' }) : from.io;
  const activity = new LogActivity();
  const dispose = async (): Promise<void> => {
    if (io !== from.io) await io.dispose();
  };
  let watch: DirectoryWatch;
  try {
    watch = new DirectoryWatch(directory, io.capabilities.realFiles, pollMs, setTimer, activity);
  } catch (error) {
    dispose().catch(() => {});
    throw error;
  }
  return {
    io,
    clock: { now, setTimer },
    directory,
    decoding,
    activity,
    toEvent,
    closed: () => undefined,
    failure: () => undefined,
    begin: () => async () => {
      watch.close();
      await dispose();
    },
  };
}
