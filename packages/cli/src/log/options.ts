import { KeyRing, WalError } from '@walstack/codec';
import { PAYLOAD_BYTES_DEFAULT } from '@walstack/codec/internal';
import { PAYLOAD_BYTES_MAX } from '@walstack/mmap-reader/internal';
import { type Command, InvalidArgumentError, Option } from 'commander';

/** The options that decide how the records of a log are decoded. */
export interface KeyOptions {
  readonly keyFile?: string;
  readonly allowPlaintext?: boolean;
  readonly maxPayloadBytes?: number;
}

/** Options of every command that reads a log. */
export interface ReadLogOptions extends KeyOptions {
  readonly json?: boolean;
  readonly core?: number;
}

/** A whole number from `least` on. */
export const integer =
  (least: number, most = Number.MAX_SAFE_INTEGER) =>
  (text: string): number => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < least || value > most) {
      throw new InvalidArgumentError(`It is no whole number from ${least} to ${most}.`);
    }
    return value;
  };

/** Adds the options of every command that reads a log. */
export function withLogOptions(command: Command): Command {
  return withoutKeys(command)
    .option('--key-file <file>', 'the keys of an encrypted log: the JSON file that KeyRing.fromFile reads')
    .option('--allow-plaintext', 'accept records that are not encrypted, beside a key file')
    .addOption(
      new Option(
        '--max-payload-bytes <bytes>',
        'the longest payload that is appended or decompressed, 64 MiB by default',
      ).argParser(integer(0, PAYLOAD_BYTES_MAX)),
    );
}

/** Adds these options for a command that decodes no record. */
export function withoutKeys(command: Command): Command {
  return command
    .option('--json', 'print JSON')
    .addOption(new Option('--core <id>', 'of a per-core log: only this core').argParser(integer(0, 0xffff_fffe)));
}

/** How a file of frames was written. */
export interface FramesOptions {
  readonly blockBytes?: number;
  readonly maxUnsyncedBytes?: number;
}

/** The longest payload, or frame, that is appended. */
export const payloadBytesOf = ({
  maxPayloadBytes = PAYLOAD_BYTES_DEFAULT,
  maxUnsyncedBytes = 0,
}: KeyOptions & FramesOptions): number => Math.max(maxPayloadBytes, maxUnsyncedBytes);

/** Adds the options for a file of frames. */
export function withFramesOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--block-bytes <bytes>', 'of a file of frames: its block size, 4096 by default').argParser(
        integer(512),
      ),
    )
    .addOption(
      new Option(
        '--max-unsynced-bytes <bytes>',
        'of a file of frames: what its writer left unsynced at most, 8 MiB by default',
      ).argParser(integer(1)),
    );
}

/** The options of `readFrames`. */
export const framesOf = ({ blockBytes, maxUnsyncedBytes }: FramesOptions): FramesOptions => ({
  ...(blockBytes === undefined ? {} : { blockBytes }),
  ...(maxUnsyncedBytes === undefined ? {} : { maxUnsyncedBytes }),
});

/** A key file that is not there says nothing about the log: its own error would be that of a missing log. */
async function keyRingOf(path: string): Promise<KeyRing> {
  try {
    return await KeyRing.fromFile(path);
  } catch (cause) {
    if (!WalError.is(cause, 'WAL_NOT_FOUND')) throw cause;
    throw new WalError('WAL_BAD_KEY', cause.message, { path, reason: 'missing-key-file' }, { cause });
  }
}

/** The options of the packages for decoding. @throws `WAL_BAD_KEY` */
export async function decodingOf(
  options: KeyOptions,
): Promise<{ keyRing?: KeyRing; allowPlaintext?: boolean; maxPayloadBytes?: number }> {
  const { keyFile, allowPlaintext, maxPayloadBytes } = options;
  return {
    ...(keyFile === undefined ? {} : { keyRing: await keyRingOf(keyFile) }),
    ...(allowPlaintext === undefined ? {} : { allowPlaintext }),
    ...(maxPayloadBytes === undefined ? {} : { maxPayloadBytes }),
  };
}
