import type { StorageIo } from '@walstack/storage-io';

/** Whether a backend writes groups concurrently: then each is a durable write that ends with its block. */
export const groupsGoSideBySide = ({ capabilities }: StorageIo): boolean =>
  capabilities.overlappedWrites && capabilities.durableWrites && !capabilities.completesInline;
