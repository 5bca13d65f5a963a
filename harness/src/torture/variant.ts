import { type Backend, canWait } from './backends.js';
import type { PlaceName } from './disks/places.js';
import type { Api } from './job.js';

/** What is tortured: each log is one of these. */
export interface Variant {
  readonly backend: Backend;
  readonly api: Api;
  readonly padGroups: boolean;
  /** Whether processes are killed or worker threads terminated. */
  readonly victims: 'processes' | 'workers';
  /** What the log lies on. */
  readonly place: PlaceName;
}

/** Every variant of these backends in these places. */
export async function variantsOf(backends: readonly Backend[], places: readonly PlaceName[]): Promise<Variant[]> {
  const variants: Variant[] = [];
  for (const backend of backends) {
    const waits = await canWait(backend);
    for (const place of places) variants.push(...VARIANTS[place](waits).map((each) => ({ ...each, backend, place })));
  }
  return variants;
}

type Kind = Omit<Variant, 'backend' | 'place'>;

/** @param waits - whether a thread can wait on the backend */
type Kinds = (waits: boolean) => readonly Kind[];

const processes = (api: Api, padGroups: boolean): Kind => ({ api, padGroups, victims: 'processes' });
const workers = (api: Api, padGroups: boolean): Kind => ({ api, padGroups, victims: 'workers' });
const waiting = (waits: boolean, ...kinds: Kind[]): readonly Kind[] => (waits ? kinds : []);

const onDisk: Kinds = () => [processes('wal', false), processes('segmented', true)];

const VARIANTS: Readonly<Record<PlaceName, Kinds>> = {
  plain: (waits) => [
    ...(['wal', 'segmented'] as const).flatMap((api) => [processes(api, false), processes(api, true)]),
    ...waiting(waits, processes('segmented-sync', false), processes('segmented-sync', true)),
    workers('wal', false),
    workers('segmented', true),
    processes('percore', false),
    processes('percore-workers', true),
  ],
  full: () => [processes('wal', true), processes('segmented', false)],
  forgetful: (waits) => [
    processes('wal', false),
    processes('segmented', true),
    processes('segmented', false),
    ...waiting(waits, processes('segmented-sync', false)),
    processes('percore', true),
    processes('percore-workers', false),
  ],
  ext4: onDisk,
  xfs: onDisk,
  btrfs: onDisk,
  overlay: onDisk,
};

/** In words, for people. */
export function describeVariant({ backend, api, padGroups, victims, place }: Variant): string {
  const words = [backend.name, api, padGroups ? 'padded groups' : 'unpadded groups'];
  if (victims === 'workers') words.push('worker threads');
  if (place !== 'plain') words.push(PLACES[place]);
  return words.join(', ');
}

const PLACES: Readonly<Record<Exclude<PlaceName, 'plain'>, string>> = {
  full: 'full disk',
  forgetful: 'power cuts',
  ext4: 'ext4',
  xfs: 'xfs',
  btrfs: 'btrfs',
  overlay: 'overlay',
};
