import type { Defect } from '../defect.js';
import { BACKENDS_DEFECTS } from './backends.js';
import { BACKUPS_DEFECTS } from './backups.js';
import { BATCHES_DEFECTS } from './batches.js';
import { CALLS_DEFECTS } from './calls.js';
import { COSTS_DEFECTS } from './costs.js';
import { ENCRYPTION_DEFECTS } from './encryption.js';
import { FOLLOWERS_DEFECTS } from './followers.js';
import { FRAMES_DEFECTS } from './frames.js';
import { FULL_DISKS_DEFECTS } from './full-disks.js';
import { GOES_ON_DEFECTS } from './goes-on.js';
import { GROUPS_DEFECTS } from './groups.js';
import { HOLES_DEFECTS } from './holes.js';
import { LOCKS_DEFECTS } from './locks.js';
import { MARKS_WITHOUT_ROOM_DEFECTS } from './marks-without-room.js';
import { PERCORE_DEFECTS } from './percore.js';
import { PERCORE_LOGS_DEFECTS } from './percore-logs.js';
import { QUARANTINES_DEFECTS } from './quarantines.js';
import { READERS_DEFECTS } from './readers.js';
import { READING_DEFECTS } from './reading.js';
import { RECOVERY_DEFECTS } from './recovery.js';
import { ROLLING_DEFECTS } from './rolling.js';
import { SALVAGE_DEFECTS } from './salvage.js';
import { TRUNCATION_DEFECTS } from './truncation.js';
import { TURNS_DEFECTS } from './turns.js';
import { WAITING_DEFECTS } from './waiting.js';

/** Every deliberate defect. Each must be caught. */
export const DEFECTS: readonly Defect[] = [
  ...FRAMES_DEFECTS,
  ...ROLLING_DEFECTS,
  ...GROUPS_DEFECTS,
  ...TRUNCATION_DEFECTS,
  ...FOLLOWERS_DEFECTS,
  ...RECOVERY_DEFECTS,
  ...GOES_ON_DEFECTS,
  ...FULL_DISKS_DEFECTS,
  ...MARKS_WITHOUT_ROOM_DEFECTS,
  ...SALVAGE_DEFECTS,
  ...HOLES_DEFECTS,
  ...QUARANTINES_DEFECTS,
  ...BACKUPS_DEFECTS,
  ...BATCHES_DEFECTS,
  ...ENCRYPTION_DEFECTS,
  ...PERCORE_DEFECTS,
  ...PERCORE_LOGS_DEFECTS,
  ...WAITING_DEFECTS,
  ...TURNS_DEFECTS,
  ...CALLS_DEFECTS,
  ...COSTS_DEFECTS,
  ...READING_DEFECTS,
  ...READERS_DEFECTS,
  ...BACKENDS_DEFECTS,
  ...LOCKS_DEFECTS,
];
