import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { optionRows } from '../../../harness/test-kit/option-rows.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { STREAM_OPTIONS } from '../src/options.js';
import { REPLICA_OPTIONS } from '../src/replica/log-replica.js';
import { RESTORE_OPTIONS } from '../src/restore/restore-log.js';
import { SHIP_OPTIONS } from '../src/ship/ship-options.js';
import { NatsServer, withoutServer } from './support/nats-servers.js';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const distOf = (name: string): string => fileURLToPath(new URL(`../../${name}/dist/index.js`, import.meta.url));

describe('the README', () => {
  test.skipIf(withoutServer !== undefined)('shows what its example prints', async () => {
    const [, code = '', output] = /```js\n(.*?)```\s+It prints\s+```text\n(.*?)```/s.exec(readme) ?? [];
    const server = await NatsServer.start();
    // Without an installation, the packages are imported by their paths.
    const input = ['jetstream', 'wal'].reduce(
      (text, name) => text.replace(`'@walstack/${name}'`, JSON.stringify(distOf(name))),
      code,
    );
    const child = spawn(process.execPath, ['--input-type=module', '--eval', input], {
      cwd: temporaryDirectory(),
      env: { ...process.env, NATS_URL: `nats://${server.address}` },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let printed = '';
    child.stdout.on('data', (text: Buffer) => {
      printed += text.toString();
    });
    await once(child, 'close');
    await server.kill();
    expect(printed).toBe(output);
  });

  test('has each option once, and no other', () => {
    const options = [...STREAM_OPTIONS, ...SHIP_OPTIONS, ...RESTORE_OPTIONS, ...REPLICA_OPTIONS];
    expect(
      optionRows(readme)
        .flatMap(({ names }) => names)
        .sort(),
    ).toEqual([...options].sort());
  });
});
