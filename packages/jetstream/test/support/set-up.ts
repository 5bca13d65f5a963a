import { join } from 'node:path';
import { LogShipper, type ShipOptions } from '@walstack/jetstream';
import { Wal } from '@walstack/wal';
import { afterEach, beforeAll } from 'vitest';
import { temporaryDirectory } from '../../../../harness/test-kit/temporary-directory.js';
import { NatsServer } from './nats-servers.js';

/** A server for the tests of a file. What they open is closed behind each of them, the last one first. */
export function setUpServer() {
  let started: NatsServer | undefined;
  let logs = 0;
  const closing: (() => Promise<unknown>)[] = [];
  beforeAll(async () => {
    started = await NatsServer.start();
  });
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });
  const server = {
    get address(): string {
      return (started as NatsServer).address;
    },
    get port(): number {
      return (started as NatsServer).port;
    },
  };
  /** The stream of a log that no other test has. */
  const nextStream = () => ({ connection: { servers: server.address }, log: `log${++logs}` });
  return { server, closing, nextStream };
}

/** The same, for tests that ship logs. */
export function setUpShipping() {
  const { server, closing, nextStream } = setUpServer();
  /** On a busy machine an acknowledgement takes long: one that does not come in time is not counted. */
  const nextOptions = (): ShipOptions => ({
    ...nextStream(),
    create: { duplicate_window: 60_000_000_000 },
    retryMs: 20,
    timeoutMs: 60_000,
  });
  const streamOf = ({ connection, log }: ShipOptions) => ({ connection, log });
  const openLog = async (options = {}, directory = join(temporaryDirectory(), 'log')): Promise<Wal> => {
    const wal = await Wal.open(directory, { segmentBytes: 32 * 1024, ...options });
    closing.push(() => wal.shutdown());
    return wal;
  };
  const start = (wal: Wal | string, options: ShipOptions): LogShipper => {
    const shipper = LogShipper.start(wal, options);
    closing.push(() => shipper.close());
    return shipper;
  };
  return { server, closing, nextStream, nextOptions, streamOf, openLog, start };
}
