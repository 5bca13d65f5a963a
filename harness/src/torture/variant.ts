import { type Backend, canWait } from './backends.js';
import type { Api } from './job.js';

/** What is tortured: each log is one of these. */
export interface Variant {
  readonly backend: Backend;
  readonly api: Api;
  readonly padGroups: boolean;
  /** Whether processes are killed or worker threads terminated. */
  readonly victims: 'processes' | 'workers';
  /** Whether the log is on a file system of its own that is full most of the time. */
  readonly full: boolean;
}

/** Every variant of these backends. */
export async function variantsOf(
  backends: readonly Backend[],
  { smallDisks }: { smallDisks: boolean },
): Promise<Variant[]> {
  const variants: Variant[] = [];
  for (const backend of backends) {
    const apis: Api[] = (await canWait(backend)) ? ['wal', 'segmented', 'segmented-sync'] : ['wal', 'segmented'];
    for (const api of apis) {
      for (const padGroups of [false, true]) {
        variants.push({ backend, api, padGroups, victims: 'processes', full: false });
      }
    }
    variants.push({ backend, api: 'wal', padGroups: false, victims: 'workers', full: false });
    variants.push({ backend, api: 'segmented', padGroups: true, victims: 'workers', full: false });
    variants.push({ backend, api: 'percore', padGroups: false, victims: 'processes', full: false });
    variants.push({ backend, api: 'percore-workers', padGroups: true, victims: 'processes', full: false });
    if (!smallDisks) continue;
    variants.push({ backend, api: 'wal', padGroups: true, victims: 'processes', full: true });
    variants.push({ backend, api: 'segmented', padGroups: false, victims: 'processes', full: true });
  }
  return variants;
}

/** In words, for people. */
export function describeVariant({ backend, api, padGroups, victims, full }: Variant): string {
  const words = [backend.name, api, padGroups ? 'padded groups' : 'unpadded groups'];
  if (victims === 'workers') words.push('worker threads');
  if (full) words.push('full disk');
  return words.join(', ');
}
