import { checkOptions, checkPath } from '@walstack/codec/internal';
import { coreDirectory } from '@walstack/percore/internal';
import { type CompareReport, compareLog } from '../restore/compare-log.js';
import { endedBy } from '../stream/ended-by.js';
import { CORES_STREAM_OPTIONS, type CoresStreamOptions, coreOptions, manifestSettings } from './cores-options.js';
import { ManifestStream, readManifestFile } from './manifest-stream.js';
import { coresInCluster } from './stream-names.js';

/** With which streams a per-core log is compared. */
export interface CompareCoresOptions extends CoresStreamOptions {
  /** So many differences are listed of each core. Default 100. */
  readonly differencesMax?: number;
  /** Ends the comparison. */
  readonly signal?: AbortSignal;
}

/** How the logs of all cores and their streams differ. */
export interface CompareCoresReport {
  /** Whether the log of each core that has a stream agrees with it. */
  readonly agrees: boolean;
  /** In the order of their ids. */
  readonly cores: readonly (CompareReport & { readonly coreId: number })[];
  /** Whether the manifest in the directory is the last one of its stream: it gets there once what it names is replicated. */
  readonly hasManifest: boolean;
}

/**
 * Compares the logs of all cores of a per-core log with their streams, record by record, and the manifest.
 *
 * @throws what `compareLog` throws
 */
export async function compareCores(directory: string | URL, options: CompareCoresOptions): Promise<CompareCoresReport> {
  const path = checkPath('directory', directory);
  const { differencesMax = 100, signal } = checkOptions('options', options, [
    ...CORES_STREAM_OPTIONS,
    'differencesMax',
    'signal',
  ]);
  return await endedBy(signal, 'the comparison was aborted', async () => {
    const more = { differencesMax, ...(signal === undefined ? {} : { signal }) };
    const cores: (CompareReport & { readonly coreId: number })[] = [];
    for (const coreId of await coresInCluster(options, signal)) {
      const report = await compareLog(coreDirectory(path, coreId), { ...coreOptions(options, coreId), ...more });
      cores.push({ coreId, ...report });
    }
    const stream = await ManifestStream.open({ ...manifestSettings(options), signal }, undefined);
    try {
      const file = await readManifestFile(path);
      return Object.freeze({
        agrees: cores.length > 0 && cores.every(({ agrees }) => agrees),
        cores: Object.freeze(cores),
        hasManifest: file !== undefined && stream.has(file.bytes),
      });
    } finally {
      await stream.close();
    }
  });
}
