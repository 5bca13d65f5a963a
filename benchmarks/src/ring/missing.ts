import { ringSupport } from '@walstack/native';
import { fileSystemOf } from '../machine/machine.js';

/** File systems on which a durable direct write of a ring is durable when it completes: see docs/durability.md. */
const DURABLE_WRITES = ['ext4', 'xfs'];

/** Why `ring-loop` cannot be measured in a directory, in one sentence; `undefined` where it can. */
export function ringLoopMissing(directory: string): string | undefined {
  const reason = ringMissing() ?? reasonOf(directory);
  return reason === undefined ? undefined : `ring-loop is left out: ${reason}`;
}

/** Why there is no ring, as the end of a sentence; `undefined` where there is one. */
export function ringMissing(): string | undefined {
  const support = ringSupport();
  return support.available ? undefined : support.reason;
}

function reasonOf(directory: string): string | undefined {
  const fileSystem = fileSystemOf(directory);
  return DURABLE_WRITES.includes(fileSystem)
    ? undefined
    : `on ${fileSystem} a durable write of a ring was not shown to be durable.`;
}
