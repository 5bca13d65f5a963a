import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { WalError } from '@walstack/codec';
import { checkInteger, checkOptions, checkPath } from '@walstack/codec/internal';
import { coreDirectory, encodeManifest, type Manifest, manifestPath } from '@walstack/percore/internal';
import { checkSignal, FILE_MODE_DEFAULT } from '@walstack/storage-io/internal';
import { type RestoreReport, restoreLog } from '../restore/restore-log.js';
import { onDisk, syncDirectory } from '../restore/segment-files.js';
import { makeWhole } from '../restore/staging.js';
import { endedBy } from '../stream/ended-by.js';
import { LogStream } from '../stream/log-stream.js';
import { CORES_STREAM_OPTIONS, type CoresStreamOptions, coreOptions, manifestSettings } from './cores-options.js';
import { manifestsIn } from './manifest-stream.js';
import { coresInCluster } from './stream-names.js';

/** What is restored, from which streams. */
export interface RestoreCoresOptions extends CoresStreamOptions {
  /** Restore of each core what its log was before the first record that is later than this, in milliseconds since the Unix epoch. Default: all. */
  readonly toTimeMs?: number;
  /** Ends the restore, which leaves nothing behind. */
  readonly signal?: AbortSignal;
}

/** What was restored. */
export interface RestoreCoresReport {
  /** In the order of their ids. */
  readonly cores: readonly (RestoreReport & { readonly coreId: number })[];
  /** The id of the checkpoint in the manifest; `undefined` when it has none. */
  readonly checkpointId: number | undefined;
}

type RestoredCore = RestoreCoresReport['cores'][number];

/**
 * Makes the directory of a per-core log from its streams: the logs of all cores, and the last manifest that they satisfy. It opens as
 * after a crash: what of the last epochs is missing on some core, `incomplete` decides.
 *
 * @param directory - a path or a `file:` URL: missing or empty
 * @throws what `restoreLog` throws; `WAL_NOT_FOUND` without a manifest, `WAL_CORRUPT` (`'manifest'`) when the logs satisfy none
 */
export async function restoreCores(directory: string | URL, options: RestoreCoresOptions): Promise<RestoreCoresReport> {
  const path = resolve(checkPath('directory', directory));
  const { toTimeMs = Number.MAX_SAFE_INTEGER, signal } = checkOptions('options', options, [
    ...CORES_STREAM_OPTIONS,
    'toTimeMs',
    'signal',
  ]);
  checkInteger('toTimeMs', toTimeMs);
  checkSignal(signal);
  manifestSettings(options);
  return await endedBy(signal, 'the restore was aborted, nothing was restored', () =>
    makeWhole(path, (staged) => restoreInto(staged, options, toTimeMs)),
  );
}

async function restoreInto(
  staged: string,
  options: RestoreCoresOptions,
  toTimeMs: number,
): Promise<RestoreCoresReport> {
  const { signal } = options;
  const manifests = await manifestsUpTo(options, toTimeMs);
  const cores: RestoredCore[] = [];
  for (const coreId of await coresInCluster(options, signal)) {
    const restored = await restoreCore(coreDirectory(staged, coreId), options, coreId, { toTimeMs, signal });
    if (restored !== undefined) cores.push({ coreId, ...restored });
  }
  // The last manifest was published when the logs had what it names. An earlier one is for an earlier time.
  const asked = options.toTimeMs === undefined ? manifests.slice(0, 1) : manifests;
  const manifest = satisfied(asked, cores, manifestSettings(options).stream);
  const file = manifestPath(staged);
  const content = { mode: FILE_MODE_DEFAULT, flush: true };
  await onDisk('write', file, () => writeFile(file, encodeManifest(manifest), content));
  await syncDirectory(staged);
  return Object.freeze({ cores: Object.freeze(cores), checkpointId: manifest.checkpoint?.id });
}

/** @returns `undefined` when the log had no record at that time */
async function restoreCore(
  path: string,
  options: RestoreCoresOptions,
  coreId: number,
  asked: { readonly toTimeMs: number; readonly signal: AbortSignal | undefined },
): Promise<RestoreReport | undefined> {
  const { toTimeMs, signal } = asked;
  try {
    return await restoreLog(path, {
      ...coreOptions(options, coreId),
      toTimeMs,
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (error) {
    if (WalError.is(error, 'WAL_NOT_FOUND') && error.reason === 'empty') return undefined;
    throw error;
  }
}

/** The manifests with a checkpoint up to a time, the last one first. */
async function manifestsUpTo(options: RestoreCoresOptions, toTimeMs: number): Promise<readonly Manifest[]> {
  const stream = await LogStream.open({ ...manifestSettings(options), signal: options.signal });
  const manifests: Manifest[] = [];
  try {
    for await (const { manifest } of manifestsIn(stream)) {
      if ((manifest.checkpoint?.createdAtMs ?? 0) <= toTimeMs) manifests.unshift(manifest);
    }
  } finally {
    await stream.close();
  }
  if (manifests.length > 0) return manifests;
  throw new WalError('WAL_NOT_FOUND', `the stream ${stream.name} has no manifest: no per-core log was shipped`, {
    path: stream.name,
    reason: 'empty',
  });
}

/** The last manifest whose cores are all restored, as far as its checkpoint says. */
function satisfied(manifests: readonly Manifest[], cores: readonly RestoredCore[], name: string): Manifest {
  const byId = new Map(cores.map((core) => [core.coreId, core]));
  const found = manifests.find(
    (manifest) =>
      manifest.cores.every((coreId) => byId.has(coreId)) &&
      cores.every(({ coreId, firstLsn, lastLsn }) => {
        const lsn = manifest.checkpoint?.cores.find((place) => place.coreId === coreId)?.lsn ?? 0;
        return firstLsn <= lsn + 1 && lastLsn >= lsn;
      }),
  );
  if (found === undefined) {
    const what = `the logs in the cluster satisfy none of the manifests in the stream ${name}`;
    throw new WalError('WAL_CORRUPT', `${what}: their first records were dropped, or the shipping has just begun`, {
      path: name,
      reason: 'manifest',
    });
  }
  return found;
}
