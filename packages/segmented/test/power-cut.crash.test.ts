import { describe, expect, test } from 'vitest';
import { ForgetfulDisk, randomFrom, type Survivors } from './support/forgetful-disk.js';
import { ModelledLog } from './support/model.js';
import { CONFIGS, SCENARIOS, type Scenario } from './support/scenarios.js';

/** Which of the unsynced things survive: all, none, and by chance. */
const survivorSets = (seed: number): Survivors[] => {
  const random = randomFrom(seed);
  return [
    () => true,
    () => false,
    () => random() < 0.5,
    () => random() < 0.5,
    () => random() < 0.2,
    () => random() < 0.8,
  ];
};

/** Runs a scenario until the power goes; whether it came to its end. */
function runUntilCut(scenario: Scenario, log: ModelledLog, disk: ForgetfulDisk, seed: number): boolean {
  try {
    scenario(log, disk.io(), randomFrom(seed));
    return true;
  } catch (error) {
    if (!disk.off) throw error;
    return false;
  }
}

/** Opens, goes on, loses power again with nothing unsynced surviving, and opens once more. */
function checkAndGoOn(log: ModelledLog, disk: ForgetfulDisk): void {
  log.open(disk.io());
  log.append(700);
  log.append(5);
  log.sync();
  log.open(disk.afterPowerCut(() => false).io());
}

describe.each(CONFIGS)('%s', (_name, config, durableWrites) => {
  describe.each(Object.entries(SCENARIOS))('%s', (_scenarioName, scenario) => {
    test('nothing acknowledged is lost, wherever the power goes', () => {
      let states = 0;
      for (let seed = 1; seed <= 2; seed++) {
        for (let cutAt = 1, ended = false; !ended; cutAt++) {
          const disk = new ForgetfulDisk(durableWrites);
          disk.cutAt = cutAt;
          const log = new ModelledLog(config);
          ended = runUntilCut(scenario, log, disk, seed);
          for (const [index, survives] of survivorSets(seed * 1000 + cutAt).entries()) {
            states++;
            try {
              checkAndGoOn(log.copy(), disk.afterPowerCut(survives));
            } catch (cause) {
              throw new Error(`seed ${seed}, power cut at operation ${cutAt}, survivors ${index}`, { cause });
            }
          }
        }
      }
      expect(states).toBeGreaterThan(300);
    });

    test('nor when it goes again inside recovery, twice', () => {
      const seed = 3;
      let states = 0;
      for (let cutAt = 1, ended = false; !ended; cutAt += 3) {
        const disk = new ForgetfulDisk(durableWrites);
        disk.cutAt = cutAt;
        const log = new ModelledLog(config);
        ended = runUntilCut(scenario, log, disk, seed);
        const random = randomFrom(cutAt);
        const first = disk.afterPowerCut(() => random() < 0.5);
        for (let recoveryCutAt = 1, recovered = false; !recovered; recoveryCutAt++) {
          let again = first.afterPowerCut(() => true);
          try {
            for (let time = 0; time < 2; time++) {
              again.cutAt = recoveryCutAt;
              recovered = runUntilCut((each, io) => each.open(io), log.copy(), again, seed);
              again = again.afterPowerCut(() => random() < 0.5);
            }
            states++;
            checkAndGoOn(log.copy(), again);
          } catch (cause) {
            throw new Error(`power cut at operation ${cutAt}, then at ${recoveryCutAt} of recovery`, { cause });
          }
        }
      }
      expect(states).toBeGreaterThan(30);
    });
  });
});
