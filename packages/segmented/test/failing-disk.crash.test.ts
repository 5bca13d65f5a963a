import { WalError } from '@walstack/codec';
import { describe, expect, test } from 'vitest';
import { ForgetfulDisk, randomFrom } from './support/forgetful-disk.js';
import { ModelledLog } from './support/model.js';
import { CONFIGS, SCENARIOS, type Scenario } from './support/scenarios.js';

/** Runs a scenario on a disk of which one operation fails; returns what the log threw. */
function runOn(disk: ForgetfulDisk, scenario: Scenario, log: ModelledLog, seed: number): WalError | undefined {
  try {
    scenario(log, disk.io(), randomFrom(seed));
    return undefined;
  } catch (error) {
    if (!WalError.is(error)) throw error;
    return error;
  }
}

describe.each(CONFIGS)('%s', (_name, config, durableWrites) => {
  describe.each(Object.entries(SCENARIOS))('%s', (_scenarioName, scenario) => {
    test.each(['EIO', 'ENOSPC'])('when any one operation fails with %s, it is said, and nothing is lost', (code) => {
      let failures = 0;
      for (let seed = 1; seed <= 2; seed++) {
        for (let failAt = 1; ; failAt++) {
          const disk = new ForgetfulDisk(durableWrites);
          disk.failAt = failAt;
          disk.failWith = code;
          const log = new ModelledLog(config);
          const error = runOn(disk, scenario, log, seed);
          if (disk.failed === undefined) break;
          failures++;
          try {
            if (error !== undefined) expect(error.code).toBe(code === 'EIO' ? 'WAL_IO_FAILED' : 'WAL_NO_SPACE');
            // The process goes on with what the page cache shows, and then the power goes: a sync that failed must not
            // have been believed, nor repeated.
            const reopened = log.copy();
            reopened.open(disk.io());
            const cut = disk.afterPowerCut(() => false);
            reopened.open(cut.io());
            reopened.append(300);
            reopened.sync();
            reopened.open(cut.afterPowerCut(() => false).io());
          } catch (cause) {
            throw new Error(`seed ${seed}, operation ${failAt} (${disk.failed}) failed with ${code}`, { cause });
          }
        }
      }
      expect(failures).toBeGreaterThan(40);
    });
  });
});

test('after a failed write or sync nothing is accepted, and no later sync is tried', () => {
  for (const operation of ['write', 'datasync']) {
    const disk = new ForgetfulDisk();
    const log = new ModelledLog({ markAfterMs: 0 });
    log.open(disk.io());
    log.append(100);
    log.sync();
    log.append(100);
    disk.failAt = disk.operations + (operation === 'write' ? 1 : 2);
    expect(() => log.sync()).toThrow(expect.objectContaining({ code: 'WAL_IO_FAILED' }));
    expect(disk.failed).toBe(operation);
    const { operations } = disk;
    expect(() => log.append(100)).toThrow(expect.objectContaining({ code: 'WAL_IO_FAILED' }));
    expect(() => log.sync()).toThrow(expect.objectContaining({ code: 'WAL_IO_FAILED' }));
    expect(() => log.flush()).toThrow(expect.objectContaining({ code: 'WAL_IO_FAILED' }));
    expect(() => log.truncate(1)).toThrow(expect.objectContaining({ code: 'WAL_IO_FAILED' }));
    expect(log.failure).toMatchObject({ code: 'WAL_IO_FAILED', systemCode: 'EIO' });
    expect(disk.operations).toBe(operations);
  }
});
