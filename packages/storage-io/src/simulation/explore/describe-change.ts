import type { DiskChange } from '../disk/disk-change.js';
import type { DiskState } from '../disk/disk-state.js';

/** Describes a change of a disk, for the message of a failure. */
export function describeChange(change: DiskChange, disk: DiskState): string {
  const path = (inode: number): string => disk.pathOf(inode) ?? 'a file without a name';
  const at = (directory: number, name: string): string => `${path(directory)}/${name}`.replace('//', '/');
  switch (change.kind) {
    case 'write-begun':
      return `${change.data.length} bytes at ${change.offset} of ${path(change.inode)} began to be written`;
    case 'write':
      return `${change.data.length} bytes at ${change.offset} of ${path(change.inode)} were written${
        change.durable ? ' durably' : ''
      }`;
    case 'write-lost':
      return `a write of ${path(change.inode)} failed`;
    case 'resize':
      return `${path(change.inode)} was cut or extended to ${change.bytes} bytes`;
    case 'sync':
      return `${path(change.inode)} was synced`;
    case 'sync-failed':
      return `a sync of ${path(change.inode)} failed`;
    case 'evict':
      return `the cache gave up what a failed sync of ${path(change.inode)} had dropped`;
    case 'create':
      return `${at(change.directory, change.name)} was created`;
    case 'make-directory':
      return `the directory ${at(change.directory, change.name)} was made`;
    case 'rename':
      return `${at(change.directory, change.name)} was renamed to ${at(change.toDirectory, change.toName)}`;
    case 'link':
      return `${at(change.directory, change.name)} was linked to ${at(change.toDirectory, change.toName)}`;
    case 'remove':
      return `${at(change.directory, change.name)} was removed`;
    case 'sync-directory':
      return `the directory ${path(change.directory)} was synced`;
    case 'rot':
      return `a byte at ${change.offset} of ${path(change.inode)} rotted`;
  }
}
