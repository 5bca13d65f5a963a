import { coded } from './arguments.js';
import { requireBinding } from './load.js';
import type { NativeRingConstructor } from './ring-binding.js';

/** Whether a ring can be made here, and if not, why, in one sentence. */
export type RingSupport =
  | { readonly available: true; readonly reason: undefined }
  | { readonly available: false; readonly reason: string };

const UNAVAILABLE = 'ERR_WALSTACK_NATIVE_UNAVAILABLE';

const AVAILABLE: RingSupport = Object.freeze({ available: true, reason: undefined });

/**
 * Makes a small ring and closes it again, to find out whether rings work here: the addon may be missing, the platform
 * or kernel may not support them, and io_uring may be forbidden for this process.
 */
export function ringSupport(): RingSupport {
  try {
    const Native = requireNativeRing();
    new Native(2, 4, 4, -1, 0, 0).close();
    return AVAILABLE;
  } catch (error) {
    return Object.freeze({ available: false, reason: ringFailure(error) });
  }
}

/** The addon's ring. @throws `Error` (`ERR_WALSTACK_NATIVE_UNAVAILABLE`) without the binary, or when it has none */
export function requireNativeRing(): NativeRingConstructor {
  const { Ring } = requireBinding();
  if (Ring !== undefined) return Ring;
  const reason =
    process.platform === 'linux'
      ? 'The native addon was built without io_uring, because the headers of the kernel were older than Linux 5.11.'
      : `There is no io_uring on ${process.platform}, only on Linux.`;
  throw coded(new Error(reason), UNAVAILABLE);
}

/** Why a ring could not be made, in one sentence, from what its constructor threw. */
export function ringFailure(error: unknown): string {
  const { code, syscall, message } = (error ?? {}) as NodeJS.ErrnoException;
  if (code === 'ENOSYS' && syscall?.startsWith('IORING_')) {
    return `The io_uring of this kernel is too old, it lacks ${syscall}: Linux 5.11 or later is needed.`;
  }
  switch (code) {
    case UNAVAILABLE:
      return String(message);
    case 'ENOSYS':
      return 'This kernel has no io_uring, or hides it: Linux 5.11 has all that is needed.';
    case 'EPERM':
    case 'EACCES':
      return `io_uring is forbidden here (${code}), by the sysctl kernel.io_uring_disabled or a seccomp profile.`;
    case 'ENOMEM':
      return 'The kernel has no memory for a ring (ENOMEM): the limit of locked memory (ulimit -l) may be too low.';
    case 'EMFILE':
    case 'ENFILE':
      return `There are too many open files for a ring (${code}).`;
    default:
      return `A ring could not be made: ${message ?? String(error)}.`;
  }
}
