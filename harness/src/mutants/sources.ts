/** Where the source of each entry point of the packages is, from the root of the repository. */
export const SOURCES: Readonly<Record<string, string>> = {
  '@walstack/native': 'packages/native/src/index.ts',
  '@walstack/codec': 'packages/codec/src/index.ts',
  '@walstack/codec/internal': 'packages/codec/src/internal.ts',
  '@walstack/storage-io': 'packages/storage-io/src/index.ts',
  '@walstack/storage-io/internal': 'packages/storage-io/src/internal.ts',
  '@walstack/storage-io/conformance': 'packages/storage-io/src/conformance/index.ts',
  '@walstack/storage-io/simulation': 'packages/storage-io/src/simulation/index.ts',
  '@walstack/mmap-reader': 'packages/mmap-reader/src/index.ts',
  '@walstack/mmap-reader/internal': 'packages/mmap-reader/src/internal.ts',
  '@walstack/segmented': 'packages/segmented/src/index.ts',
  '@walstack/segmented/internal': 'packages/segmented/src/internal.ts',
  '@walstack/percore': 'packages/percore/src/index.ts',
  '@walstack/wal': 'packages/wal/src/index.ts',
  '@walstack/wal/opentelemetry': 'packages/wal/src/opentelemetry.ts',
};
