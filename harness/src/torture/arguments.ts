import { resolve } from 'node:path';
import { integerOf, numberOf, parseOptions, seedOf, wordOf } from '../command-line.js';
import { BACKEND_NAMES } from './backends.js';
import { PLANTS, type Plant } from './damage/plant.js';
import { PLACE_NAMES, type PlaceName } from './disks/places.js';

const KILLS = 1000;

export const HELP = `Kills processes in the midst of writing to logs on real files, of one writer and of one for each core, and looks whether
everything is there that was promised, batches as a whole or not at all.

  pnpm torture                     ${KILLS} kills

  --kills N        end after so many kills, power cuts among them
  --minutes N      end after so much time, instead
  --backend NAME   one of ${BACKEND_NAMES.join(', ')}, or all (default all)
  --place NAME     what the logs lie on, one of ${PLACE_NAMES.join(', ')},
                   or all (default all); forgetful loses what was not synced, with the power
  --seed S         of everything that is left to chance but the moments of a machine (default a fresh one, which is printed)
  --data DIR       where the logs are (default a temporary directory); they stay when something was lost
  --plant HOW      destroy a record that has to be there, by ${PLANTS.join(', ')}, to see that it is found
  --help           this text`;

/** What to do. */
export interface Arguments {
  /** End after so many kills, or … */
  readonly kills: number;
  /** … after so much time. */
  readonly minutes: number;
  readonly backends: readonly string[];
  readonly places: readonly PlaceName[];
  readonly seed: number;
  readonly data: string | undefined;
  readonly plant: Plant | undefined;
}

/** Reads the command line; `undefined` when help was asked for. @throws {UsageError} */
export function readArguments(argv: readonly string[], standing: string): Arguments | undefined {
  const given = parseOptions(argv, ['kills', 'minutes', 'backend', 'place', 'seed', 'data', 'plant']);
  if (given.help === true) return undefined;
  const { kills, minutes, backend = 'all', place = 'all', seed, data, plant } = given;
  const named = wordOf('backend', backend, ['all', ...BACKEND_NAMES]);
  const placed = wordOf('place', place, ['all', ...PLACE_NAMES]);
  return {
    kills:
      kills === undefined ? (minutes === undefined ? KILLS : Number.POSITIVE_INFINITY) : integerOf('kills', kills, 1),
    minutes: minutes === undefined ? Number.POSITIVE_INFINITY : numberOf('minutes', minutes, 0),
    backends: named === 'all' ? BACKEND_NAMES : [named],
    places: placed === 'all' ? PLACE_NAMES : [placed],
    seed: seedOf(seed),
    data: data === undefined ? undefined : resolve(standing, data),
    plant: plant === undefined ? undefined : wordOf('plant', plant, PLANTS),
  };
}
