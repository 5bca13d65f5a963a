import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { LogShipper } from '@walstack/jetstream';
import { PerCoreWalManager } from '@walstack/percore';
import { Wal } from '@walstack/wal';
import { beforeAll, describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { commitMany, expectReplicated, until, withManager } from './support/logs.js';
import { NatsServer, withoutServer } from './support/nats-servers.js';

const MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.url));

interface Running {
  readonly child: ChildProcess;
  readonly printed: { out: string; err: string };
  readonly ended: Promise<number>;
}

function begin(...args: string[]): Running {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const printed = { out: '', err: '' };
  child.stdout.on('data', (text: Buffer) => {
    printed.out += text.toString();
  });
  child.stderr.on('data', (text: Buffer) => {
    printed.err += text.toString();
  });
  return { child, printed, ended: once(child, 'close').then(([code]) => code as number) };
}

async function command(...args: string[]) {
  const { printed, ended } = begin(...args);
  const code = await ended;
  return { code, ...printed };
}

describe.skipIf(withoutServer !== undefined)('the commands', () => {
  let server: NatsServer;

  beforeAll(async () => {
    server = await NatsServer.start();
  });

  test('ship, rebuild and compare', async () => {
    const directory = join(temporaryDirectory(), 'log');
    const wal = await Wal.open(directory);
    await commitMany(wal, 90);
    await wal.shutdown();
    const at = [`nats://${server.address}`, '--log', 'orders'];
    const ship = begin('ship', directory, '--create', '--to', ...at);
    const records = async (): Promise<number> => {
      const names = await withManager(server.address, async (api) => {
        const infos = [];
        for await (const info of api.streams.list()) infos.push(info);
        return infos;
      });
      return names.find(({ config }) => config.name === 'walstack-orders')?.state.messages ?? 0;
    };
    while ((await records()) < 91) await new Promise((resolve) => setTimeout(resolve, 50));
    ship.child.kill('SIGINT');
    expect(await ship.ended).toBe(0);
    expect(ship.printed).toMatchObject({ out: '90 records shipped\n', err: expect.stringContaining('shipping') });

    const restored = join(temporaryDirectory(), 'restored');
    expect(await command('rebuild', '--to', restored, '--from', ...at)).toMatchObject({
      code: 0,
      out: '90 records restored, LSN 1 to 90\n',
    });
    await expectReplicated(directory, { connection: { servers: server.address }, log: 'orders' });
    const early = join(temporaryDirectory(), 'early');
    const report = await command('rebuild', '--json', '--to', early, '--at', '30', '--from', ...at);
    expect(JSON.parse(report.out)).toMatchObject({ firstLsn: 1, lastLsn: 30 });
    const none = await command('rebuild', '--to', join(early, 'x'), '--at', '1999-01-01', '--from', ...at);
    expect(none).toMatchObject({ code: 4, err: expect.stringContaining('WAL_NOT_FOUND') });
    expect((await command('rebuild', '--to', early, '--at', 'noon', '--from', ...at)).code).toBe(2);

    expect(await command('compare', restored, '--with', ...at)).toMatchObject({
      code: 0,
      out: '90 records are the same; the stream ends with LSN 90, the log with 90\n',
    });
    expect((await command('compare', early, '--with', ...at)).code).toBe(1);
    expect((await command('inspect', restored)).code).toBe(0);
  });

  test('with --cores', async () => {
    const directory = join(temporaryDirectory(), 'cores');
    const manager = await PerCoreWalManager.open({ directory, cores: 2 });
    for (let each = 0; each < 60; each++) manager.writer(each % 2).appendPut(`key ${each}`, 'value');
    await manager.close();
    const at = [`nats://${server.address}`, '--log', 'accounts', '--cores'];
    const ship = begin('ship', directory, '--create', '--to', ...at);
    const hasManifest = async (): Promise<boolean> => {
      const found = await command('rebuild', '--to', join(temporaryDirectory(), 'try'), '--from', ...at);
      return found.code === 0;
    };
    while (!(await hasManifest())) await new Promise((resolve) => setTimeout(resolve, 50));
    ship.child.kill('SIGINT');
    expect(await ship.ended).toBe(0);
    const restored = join(temporaryDirectory(), 'restored');
    expect((await command('rebuild', '--to', restored, '--from', ...at)).out).toMatch(
      /^core 0: \d+ records restored, .*\ncore 1: \d+ records restored, .*\n$/,
    );
    expect(readdirSync(restored).sort()).toEqual(['LOCK', 'core-0', 'core-1', 'manifest']);
    expect((await command('compare', restored, '--with', ...at)).code).toBe(0);
  });
});

/** Followers of a log say how far the replication is. */
test.skipIf(withoutServer !== undefined)('the lag is in the statistics of the log, also with no server', async () => {
  const wal = await Wal.open(join(temporaryDirectory(), 'log'));
  await commitMany(wal, 90);
  const shipper = LogShipper.start(wal, { connection: { servers: '127.0.0.1:1' }, log: 'lag', retryMs: 20 });
  await until(() => shipper.state === 'waiting');
  const followers = async () => (await wal.followers()).find(({ name }) => name === 'jetstream');
  expect(await followers()).toMatchObject({ lsn: 1, lagRecords: 90 });
  await shipper.close();
  const server = await NatsServer.start();
  const next = LogShipper.start(wal, { connection: { servers: server.address }, log: 'lag', create: true, storeMs: 1 });
  expect(await next.replicated(wal.commit('one more'))).toBe(91);
  while ((await followers())?.lagRecords !== 0) await new Promise((resolve) => setTimeout(resolve, 5));
  await next.close();
  expect(await followers()).toMatchObject({ lsn: 92, lagRecords: 0 });
  await wal.shutdown();
  await server.kill();
});
