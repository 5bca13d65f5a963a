import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hasServer } from '../src/servers.js';

const program = fileURLToPath(new URL('../dist/main.js', import.meta.url));

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'walstack-replicated-test-'));
});

afterEach(() => rmSync(directory, { recursive: true }));

const run = (...args: string[]) =>
  spawnSync(process.execPath, [program, ...args, '--data', directory], { encoding: 'utf8' });

const without = hasServer() ? '' : ' (skipped: nats-server is not installed)';

describe.skipIf(without !== '')(`with three servers${without}`, () => {
  test('the machine and its disk are lost, and no payment that was acknowledged', () => {
    writeFileSync(join(directory, 'other'), '');
    // Those of an earlier run are removed.
    run('--payments', '2');
    const { status, stdout, stderr } = run('--payments', '400');
    expect([status, stderr]).toEqual([0, '']);
    const rows = Object.fromEntries(
      [...stdout.matchAll(/^ {2}(\w+) +(\w+)$/gm)].map(([, name, value]) => [name, value]),
    );
    expect(rows).toMatchObject({ payments: '400', lost: '0', duplicated: '0', different: '0', agrees: 'true' });
    expect(Number(rows['acknowledged'])).toBeGreaterThanOrEqual(200);
    expect(Number(rows['restored'])).toBeGreaterThanOrEqual(Number(rows['acknowledged']));
    expect(readdirSync(directory).sort()).toEqual(['cluster', 'machine-2', 'other', 'replica']);
  });
});

test('the command line', () => {
  expect(run('--help')).toMatchObject({ status: 0, stdout: expect.stringContaining('--payments N') });
  expect(run('--payments', '1')).toMatchObject({ status: 2, stderr: expect.stringContaining('from 2 on') });
  expect(run('--payment', '5').status).toBe(2);
  expect(run('extra').status).toBe(2);
});
