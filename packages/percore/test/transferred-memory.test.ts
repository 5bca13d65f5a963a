import { CoreWalWriter } from '@walstack/percore';
import { createMemoryStorageIo } from '@walstack/storage-io';
import { expect, test } from 'vitest';
import { moved } from '../../../harness/test-kit/moved-memory.js';

test('keys and values whose memory was transferred are rejected, and later entries are complete', () => {
  const io = createMemoryStorageIo();
  const writer = CoreWalWriter.openSync(0, '/log', { io });
  writer.appendPut('first', 'value');
  const { lastLsn, position } = writer;
  const invalid = expect.objectContaining({ name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' });
  expect(() => writer.appendPut('key', moved())).toThrow(invalid);
  expect(() => writer.appendPut(moved(), 'value')).toThrow(invalid);
  expect(() => writer.appendDelete(moved())).toThrow(invalid);
  expect(() => writer.append({ operation: 'put', key: moved(), value: moved() })).toThrow(invalid);
  expect([writer.lastLsn, writer.position, writer.failure]).toEqual([lastLsn, position, undefined]);
  writer.appendPut('second', 'value');
  writer.closeSync();
  const again = CoreWalWriter.openSync(0, '/log', { io });
  expect(again.lastLsn).toBe(lastLsn + 1);
  again.closeSync();
});
