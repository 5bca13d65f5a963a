import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  CoreWalWriter,
  PerCoreRecovery,
  type PerCoreWalConfig,
  PerCoreWalManager,
  PerCoreWalReader,
} from '@walstack/percore';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

const OPTIONS: Record<keyof PerCoreWalConfig, true> = {
  directory: true,
  cores: true,
  create: true,
  recover: true,
  incomplete: true,
  workers: true,
  recoveryMode: true,
  salvageLsn: true,
  io: true,
  segmentBytes: true,
  blockBytes: true,
  padGroups: true,
  maxInFlight: true,
  directIo: true,
  preallocate: true,
  recycleSegments: true,
  maxPayloadBytes: true,
  maxPendingBytes: true,
  markAfterMs: true,
  keyRing: true,
  allowPlaintext: true,
  compression: true,
  onFailure: true,
  now: true,
  setTimer: true,
  randomBytes: true,
};

describe('the README', () => {
  test('shows what its example prints', () => {
    const [, code, output] = /```js\n(.*?)```\s+It prints\s+```text\n(.*?)```/s.exec(readme) ?? [];
    const cwd = temporaryDirectory();
    const at = fileURLToPath(new URL('../dist/index.js', import.meta.url));
    // Without an installation, the package is imported by its path.
    const input = (code ?? '').replace("'@walstack/percore'", JSON.stringify(at));
    expect(execFileSync(process.execPath, ['--input-type=module'], { cwd, input, encoding: 'utf8' })).toBe(output);
  });

  test.each(Object.keys(OPTIONS))('names the option %s', (option) => {
    expect(readme).toMatch(new RegExp(`\\| .*\`${option}\`.*\\|`));
  });

  test.each([CoreWalWriter, PerCoreRecovery, PerCoreWalManager, PerCoreWalReader])(
    'names every call and property of %o',
    (type) => {
      const names = Object.getOwnPropertyNames(type.prototype).filter((name) => name !== 'constructor');
      for (const name of names) expect(readme).toMatch(new RegExp(`\`${name}[\`(]`));
    },
  );
});
