import { checkBoolean, checkInteger, checkOptions, optionNames } from '@walstack/codec/internal';
import type { FileOpsOptions } from '../../engine/file-ops.js';

/** Options of `createIoUringStorageIo`. */
export interface IoUringOptions extends FileOpsOptions {
  /** How many submissions go to the kernel at a time, rounded up to a power of two; 1 to 32,768. Default 256. */
  readonly queueEntries?: number;
  /**
   * How many operations the kernel has under way at a time, 1 to 65,536; what is submitted beyond that waits for its
   * turn. Default `maxPending`.
   */
  readonly maxInFlight?: number;
  /**
   * Whether a kernel thread polls for submissions: submitting then needs no system call, at the price of one processor
   * that is busy while there are any. Operations run with the rights that the process had when the backend was made,
   * also after `process.setuid` and similar calls: drop rights first. Default `false`.
   */
  readonly kernelPolling?: boolean;
  /** After this many milliseconds without a submission that thread sleeps; 1 to 2,147,483,647. Default 1000. */
  readonly kernelPollingIdleMs?: number;
  /** Whether files that are opened with `direct` get direct I/O, where their file system has it. Default `true`. */
  readonly directIo?: boolean;
  /**
   * How many buffers of `allocateBuffer` are kept registered with the kernel, 0 to 16,384: their pages stay locked, and
   * operations on them need not lock them each time. Needs Linux 5.19 or later. Default 0.
   */
  readonly registeredBuffers?: number;
  /** The size up to which a buffer is registered; 1 to 1,073,741,824. Default 1,048,576. */
  readonly registeredBufferBytes?: number;
}

/** All options, with defaults filled in. */
export type IoUringSettings = Required<IoUringOptions>;

const PENDING_DEFAULT = 4096;
const PENDING_MAX = 1_048_576;
const QUEUE_ENTRIES_DEFAULT = 256;
const QUEUE_ENTRIES_MAX = 32_768;
const IN_FLIGHT_MAX = 65_536;
const IDLE_MS_DEFAULT = 1000;
const IDLE_MS_MAX = 0x7fff_ffff;
const BUFFERS_MAX = 16_384;
const BUFFER_BYTES_DEFAULT = 1_048_576;
/** The largest buffer that the kernel registers. */
const BUFFER_BYTES_MAX = 1_073_741_824;

/** Options for three ways of using a ring, to be spread into other options. */
export const ioUringPresets = Object.freeze({
  /** Many operations in flight, large ones among them. */
  highThroughput: Object.freeze({ queueEntries: 1024, registeredBuffers: 8, registeredBufferBytes: 1_048_576 }),
  /** A kernel thread that polls for work, and needs a processor for it. */
  lowLatency: Object.freeze({ queueEntries: 64, kernelPolling: true, kernelPollingIdleMs: 100 }),
  /** As little memory as possible, and few operations. */
  minimal: Object.freeze({ queueEntries: 8, maxInFlight: 8, maxPending: 64 }),
}) satisfies Readonly<Record<string, IoUringOptions>>;

const OPTIONS = optionNames<IoUringOptions>({
  maxPending: true,
  queueEntries: true,
  maxInFlight: true,
  kernelPolling: true,
  kernelPollingIdleMs: true,
  directIo: true,
  registeredBuffers: true,
  registeredBufferBytes: true,
});

/** @throws `TypeError` (`ERR_INVALID_ARG_TYPE`), `RangeError` (`ERR_OUT_OF_RANGE`) */
export function ioUringSettings(options: IoUringOptions): IoUringSettings {
  checkOptions('options', options, OPTIONS);
  const integer = (name: keyof IoUringOptions, fallback: number, minimum: number, maximum: number): number =>
    checkInteger(name, options[name] ?? fallback, minimum, maximum);
  const boolean = (name: keyof IoUringOptions, fallback: boolean): boolean =>
    checkBoolean(name, options[name] ?? fallback);
  const maxPending = integer('maxPending', PENDING_DEFAULT, 1, PENDING_MAX);
  return {
    maxPending,
    queueEntries: integer('queueEntries', QUEUE_ENTRIES_DEFAULT, 1, QUEUE_ENTRIES_MAX),
    maxInFlight: integer('maxInFlight', Math.min(maxPending, IN_FLIGHT_MAX), 1, IN_FLIGHT_MAX),
    kernelPolling: boolean('kernelPolling', false),
    kernelPollingIdleMs: integer('kernelPollingIdleMs', IDLE_MS_DEFAULT, 1, IDLE_MS_MAX),
    directIo: boolean('directIo', true),
    registeredBuffers: integer('registeredBuffers', 0, 0, BUFFERS_MAX),
    registeredBufferBytes: integer('registeredBufferBytes', BUFFER_BYTES_DEFAULT, 1, BUFFER_BYTES_MAX),
  };
}
