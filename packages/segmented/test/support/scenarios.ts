import type { StorageIo } from '@walstack/storage-io';
import type { ModelledLog } from './model.js';

/** Something done to a log, step by step, from a seed. */
export type Scenario = (log: ModelledLog, io: StorageIo, random: () => number) => void;

export const SCENARIOS: Record<string, Scenario> = {
  'groups of many sizes': (log, io, random) => {
    log.open(io);
    for (let group = 0; group < 8; group++) {
      for (let record = 0; record < 1 + random() * 4; record++) log.append(Math.floor(random() ** 3 * 1500));
      log.sync();
    }
  },
  'flushes between syncs': (log, io, random) => {
    log.open(io);
    for (let group = 0; group < 10; group++) {
      log.append(Math.floor(random() * 700));
      log.flush();
      if (random() < 0.3) log.sync();
    }
  },
  'rolls in one group and in many': (log, io, random) => {
    log.open(io);
    for (let group = 0; group < 6; group++) {
      for (let record = 0; record < random() * 12; record++) log.append(Math.floor(random() * 400));
      log.sync();
    }
  },
  'truncation of a part and of everything': (log, io, random) => {
    log.open(io);
    for (let round = 0; round < 4; round++) {
      for (let record = 0; record < 12; record++) log.append(Math.floor(random() * 300));
      if (random() < 0.7) log.sync();
      log.truncate(random() < 0.4 ? 1 : random());
    }
    log.append(10);
    log.sync();
  },
  'clean closes and lives without a record': (log, io, random) => {
    for (let life = 0; life < 5; life++) {
      log.open(io);
      for (let record = 0; record < Math.floor(random() * 3); record++) log.append(Math.floor(random() * 600));
      if (random() < 0.5) log.sync();
      log.close();
    }
  },
  'lives that end without a close': (log, io, random) => {
    for (let life = 0; life < 5; life++) {
      log.open(io);
      for (let record = 0; record < 1 + random() * 3; record++) log.append(Math.floor(random() * 600));
      if (random() < 0.5) log.sync();
      else log.flush();
    }
  },
};

/** How the logs of the scenarios are configured. */
export const CONFIGS = [
  ['groups without padding', { segmentBytes: 2048, padGroups: false }, false],
  ['padded groups', { segmentBytes: 4096, padGroups: true }, false],
  ['single durable writes', { segmentBytes: 2048, padGroups: false }, true],
] as const;
