import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from '@nats-io/transport-node';
import { compareLog, LogReplica, type LogShipper, type ShipOptions } from '@walstack/jetstream';
import { Wal } from '@walstack/wal';
import { describe, expect, test } from 'vitest';
import { rejection } from '../../../harness/test-kit/outcomes.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { intercepted } from './support/intercepted.js';
import { commitMany, expectReplicated, expectSameBytes, storedRecords, until, withManager } from './support/logs.js';
import { withoutServer } from './support/nats-servers.js';
import { setUpShipping } from './support/set-up.js';

const RECORDS = 30;
const MORE = 90;

describe.skipIf(withoutServer !== undefined)('two copies of a log that are shipped at the same time', () => {
  const { server, closing, nextOptions, streamOf, openLog, start } = setUpShipping();

  /** Two copies whose first records are in the stream, and others, with the same LSNs, are not. */
  const copies = async (isClosed: boolean, more = [MORE, MORE]) => {
    const options = nextOptions();
    const original = await Wal.open(join(temporaryDirectory(), 'log'));
    await commitMany(original, RECORDS);
    const shipper = start(original, options);
    await shipper.replicated(RECORDS);
    await shipper.close();
    // One that was closed goes on in the same segment; the other one as behind a crash, in a new one.
    if (isClosed) await original.shutdown();
    const wals: Wal[] = [];
    for (const _ of [1, 2]) {
      const directory = join(temporaryDirectory(), 'copy');
      const filter = (path: string) => !path.endsWith('LOCK') && !path.includes('followers');
      cpSync(original.directory, directory, { recursive: true, filter });
      wals.push(await openLog({}, directory));
    }
    if (!isClosed) await original.shutdown();
    const [one, two] = wals as [Wal, Wal];
    await commitMany(one, more[0] as number, 100);
    await commitMany(two, more[1] as number, 90);
    return { options, one, two };
  };

  /** A connection each of whose messages to a stream waits for a function first. */
  const connection =
    ({ log }: ShipOptions, before: (message: number) => Promise<unknown>) =>
    async () => {
      let messages = 0;
      return intercepted(await connect({ servers: server.address, reconnect: false }), async (subject) => {
        if (subject === `walstack.${log}`) await before(++messages);
        return subject;
      });
    };

  test.each([
    ['in one segment', true],
    ['in segments with the same number', false],
  ])('%s: messages that were on their way behind a refused one do not count', async (_, isClosed) => {
    const { options, one, two } = await copies(isClosed);
    const stream = `walstack-${options.log}`;
    const last = () => withManager(server.address, async (api) => (await api.streams.info(stream)).state.last_seq);
    const before = await last();
    let begin = (): void => {};
    const bothBegin = new Promise<void>((resolve) => {
      begin = resolve;
    });
    let second: LogShipper | undefined;
    // The first message of one is stored, then all of the other arrive, then the rest of the first.
    const first = start(one, {
      ...options,
      connection: connection(options, (message) =>
        message === 1 ? bothBegin : until(() => (second?.stats().attempts ?? 0) > 1 || second?.failure !== undefined),
      ),
    });
    second = start(two, {
      ...options,
      connection: connection(options, async () => {
        begin();
        while ((await last()) === before);
      }),
    });
    const isFenced = expect(rejection(second.replicated(RECORDS + MORE))).resolves.toMatchObject({
      code: 'WAL_FENCED',
      reason: 'other-writer',
    });
    await first.replicated(RECORDS + MORE);
    await isFenced;
    // There are messages in the stream that are no part of the log.
    const published = first.stats().records + RECORDS + (isClosed ? 1 : 2);
    expect(await last()).toBeGreaterThan(published);
    await expectReplicated(one.directory, streamOf(options));
    expect(await compareLog(one.directory, streamOf(options))).toMatchObject({
      agrees: true,
      records: RECORDS + MORE,
    });
    const directory = join(temporaryDirectory(), 'replica');
    const replica = LogReplica.start(directory, streamOf(options));
    closing.push(() => replica.close());
    await replica.reached(RECORDS + MORE);
    // The log goes on, and so does the replica.
    await commitMany(one, 3);
    await first.replicated(one.lastLsn);
    await replica.reached(one.lastLsn);
    await replica.close();
    expectSameBytes(one.directory, directory, await storedRecords(one.directory));
  });

  test('messages of both that are not in their place are no end of the stream', async () => {
    const { options, one, two } = await copies(true, [0, MORE]);
    const stream = `walstack-${options.log}`;
    const last = () => withManager(server.address, async (api) => (await api.streams.info(stream)).state.last_seq);
    const before = await last();
    const hasMore = async (messages: number) => {
      while ((await last()) < before + messages);
    };
    let begin = (): void => {};
    const secondBegins = new Promise<void>((resolve) => {
      begin = resolve;
    });
    let behindSecond: Promise<void> | undefined;
    const first = start(one, { ...options, connection: connection(options, () => behindSecond ?? secondBegins) });
    // Of the second one, which begins as the first one does, the first message is refused, the next one stored, and the others are lost.
    const stored = hasMore(1);
    let attempts = 0;
    const publishing = connection(options, async (message) => {
      begin();
      if (message > 2 && attempts === 1) throw new Error('lost');
      await stored;
    });
    const second = start(two, {
      ...options,
      connection: async () => {
        if (++attempts > 1) await hasMore(4);
        return await publishing();
      },
    });
    const isFenced = expect(rejection(second.replicated(RECORDS + MORE))).resolves.toMatchObject({
      code: 'WAL_FENCED',
      reason: 'other-writer',
    });
    await first.replicated(await one.commit('of the first one'));
    // Of these, which are on their way together, the first one is refused: the next ones are stored behind that of the second one.
    behindSecond = hasMore(2);
    await Promise.all([1, 2, 3].map(() => one.commit('more of the first one')));
    await first.replicated(one.lastLsn);
    await isFenced;
    expect(await last()).toBeGreaterThan(before + 4);
    await expectReplicated(one.directory, streamOf(options));
  });

  test.each([true, false])(
    'without any order, one of them is fenced (copies of a closed log: %s)',
    async (isClosed) => {
      for (let round = 0; round < 2; round++) {
        const { options, one, two } = await copies(isClosed);
        const shippers = [one, two].map((wal) => start(wal, options));
        const outcomes = await Promise.allSettled(shippers.map((shipper) => shipper.replicated(RECORDS + MORE)));
        const winner = outcomes.findIndex(({ status }) => status === 'fulfilled');
        expect(outcomes[1 - winner]).toMatchObject({ status: 'rejected', reason: { code: 'WAL_FENCED' } });
        await expectReplicated([one, two][winner]?.directory as string, streamOf(options));
      }
    },
  );
});
