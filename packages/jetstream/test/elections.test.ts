import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { NatsConnection } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import { compareLog, LogReplica, LogShipper, restoreLog } from '@walstack/jetstream';
import { Wal } from '@walstack/wal';
import { beforeAll, describe, expect, test } from 'vitest';
import { rejection } from '../../../harness/test-kit/outcomes.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { intercepted } from './support/intercepted.js';
import { commitMany, until } from './support/logs.js';
import { NatsServer, withoutServer } from './support/nats-servers.js';

/** What a server answers while the cluster has no leader. */
const NO_LEADER = JSON.stringify({
  error: { code: 503, err_code: 10008, description: 'JetStream system temporarily unavailable' },
});
const SUBJECT = 'without-leader';

/**
 * A connection whose requests to JetStream get the answer of a cluster without a leader: so many of each kind.
 *
 * @param refused - the kinds that were refused are added here
 */
async function electing(servers: string, times: number, refused: Set<string>): Promise<NatsConnection> {
  const connection = await connect({ servers, reconnect: false });
  const answers = connection.subscribe(SUBJECT, { callback: (_, message) => void message.respond(NO_LEADER) });
  await connection.flush();
  expect(answers.isClosed()).toBe(false);
  const asked = new Map<string, number>();
  return intercepted(connection, (subject) => {
    const kind = subject.split('.').slice(0, 4).join('.');
    const before = asked.get(kind) ?? 0;
    asked.set(kind, before + 1);
    if (!subject.startsWith('$JS.API.') || before >= times) return subject;
    refused.add(kind);
    return SUBJECT;
  });
}

describe.skipIf(withoutServer !== undefined)('a cluster that elects a leader', () => {
  let server: NatsServer;
  const log = 'elections';

  beforeAll(async () => {
    server = await NatsServer.start();
  });

  test('is asked again: by what ships, restores, compares and replicates', async () => {
    const refused = new Set<string>();
    const options = { connection: () => electing(server.address, 2, refused), log };
    const directory = join(temporaryDirectory(), 'log');
    const wal = await Wal.open(directory, { segmentBytes: 16 * 1024 });
    await commitMany(wal, 90);
    const shipper = LogShipper.start(wal, { ...options, create: true });
    await shipper.replicated(wal.lastLsn);
    expect(refused).toContain('$JS.API.STREAM.CREATE');
    expect(await restoreLog(join(temporaryDirectory(), 'restored'), options)).toMatchObject({ records: 90 });
    expect(await compareLog(directory, options)).toMatchObject({ agrees: true, records: 90 });
    const replica = LogReplica.start(join(temporaryDirectory(), 'replica'), options);
    await until(() => replica.lastLsn === 90);
    await replica.close();
    await shipper.close();
    await wal.shutdown();
    expect([...refused].sort()).toEqual(
      expect.arrayContaining(['$JS.API.CONSUMER.CREATE', '$JS.API.STREAM.CREATE', '$JS.API.STREAM.INFO']),
    );
  });

  test('and without end is an error with its reason, in time', async () => {
    const options = {
      connection: () => electing(server.address, Number.POSITIVE_INFINITY, new Set()),
      log,
      timeoutMs: 200,
    };
    const to = temporaryDirectory();
    expect(await rejection(restoreLog(join(to, 'restored'), options))).toMatchObject({
      code: 'WAL_TIMEOUT',
      reason: 'no-leader',
    });
    expect(readdirSync(to)).toEqual([]);
  });
});
