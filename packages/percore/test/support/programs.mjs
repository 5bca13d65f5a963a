// Programs that tests run in the worker threads of a per-core log.
import { CoreWalWriter } from '@walstack/percore';
import { createSyncFsStorageIo } from '@walstack/storage-io';

/** Appends the requested entries, and answers with its position. */
export function obey({ writer, coreId, port, signal, options }) {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(`${options.greeting} from ${coreId}`));
    port.on('message', async ({ puts = [], commit, sync = false }) => {
      for (const [key, value] of puts) writer.appendPut(key, value);
      if (commit !== undefined) writer.appendCommit(commit);
      if (sync) await writer.sync();
      port.postMessage({
        epoch: writer.epoch,
        lastLsn: writer.lastLsn,
        synced: writer.syncedPosition === writer.position,
      });
    });
  });
}

/** Appends without end, and lets the event loop turn now and then. */
export async function busy({ writer, signal }) {
  let appended = 0;
  while (!signal.aborted) {
    for (let entry = 0; entry < 200; entry++, appended++) writer.appendPut(`k${appended}`, 'x'.repeat(50));
    await writer.sync();
  }
  return appended;
}

/** Options of a log that are made in its thread: none. */
export const nothingOfItsOwn = () => ({});

export function fail() {
  throw Object.assign(new RangeError('no input'), { code: 'ERR_NO_INPUT' });
}

export function die() {
  process.exit(3);
}

export function nothingAtAll() {
  return Promise.reject();
}

export function noPrototype() {
  throw Object.create(null);
}

export function throwingGetter() {
  throw Object.defineProperty(new Error('odd'), 'message', {
    get() {
      throw new Error('no message');
    },
  });
}

export function oddName() {
  throw Object.assign(new Error('odd'), { name: Symbol('name'), code: 7 });
}

export function revokedProxy() {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  throw proxy;
}

/** Another writer has the log for a moment, before the worker has it. */
export async function appendBefore(coreId, { directory }) {
  const writer = await CoreWalWriter.open(coreId, directory, { io: 'sync-fs' });
  writer.appendPut('of another writer', '');
  await writer.close();
  return {};
}

export const nothing = 17;

/** Makes what cannot be sent: a backend, and a clock of which tests can tell. */
export const configure = (coreId, { time }) => ({ io: createSyncFsStorageIo(), now: () => time + coreId });

export default async function wait({ signal }) {
  await new Promise((resolve) => signal.addEventListener('abort', resolve));
}
