import type { Case } from '../../case.js';
import type { Settings } from '../../settings.js';
import { diskBytes, idleMemory, loneCommits, opening } from './footprint.js';
import { openings } from './openings.js';
import { appendInSegment, commits } from './segment-costs.js';

/** What a log costs besides its records: rolling, space on the disk, opening, memory. */
export const log = (settings: Settings): Case[] => [
  appendInSegment(settings, 1),
  appendInSegment(settings, 100),
  commits(settings, 'commit steady', undefined),
  commits(settings, 'commit rolling', 256 * 1024),
  diskBytes(settings, 0, 1),
  diskBytes(settings, 10, 1),
  diskBytes(settings, settings.records, 1000),
  loneCommits(settings),
  opening(settings),
  openings(settings),
  idleMemory(settings),
];
