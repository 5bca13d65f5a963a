import { statfsSync } from 'node:fs';
import { availableParallelism, cpus, release, type } from 'node:os';

const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  61267: 'ext4',
  16914836: 'tmpfs',
  1481003842: 'xfs',
  2435016766: 'btrfs',
  2035054128: 'overlayfs',
  801189825: 'zfs',
};

/** The kind of the file system that a directory is on. */
export const fileSystemOf = (directory: string): string => {
  const { type: number } = statfsSync(directory);
  return FILE_SYSTEMS[number] ?? `file system 0x${number.toString(16)}`;
};

/** One line that says where the figures come from. */
export function describeMachine(directory: string): string {
  const processors = `${availableParallelism()} × ${cpus()[0]?.model.trim() ?? 'unknown processor'}`;
  const fileSystem = fileSystemOf(directory);
  const warning = fileSystem === 'tmpfs' ? ' (in memory: durable costs nothing here)' : '';
  return `Node.js ${process.versions.node}, ${type()} ${release()}, ${processors}, ${fileSystem}${warning}`;
}
