import { expect, it } from 'vitest';
import { createMemoryStorageIo } from '../src/backends/memory/memory.js';
import { SharedRoutine } from '../src/portable/shared-routine.js';
import * as ioSteps from '../src/routines/io-operations.js';
import type { IoRoutine } from '../src/routines/routine.js';
import { RoutineQueue } from '../src/routines/routine-queue.js';

it('a call before a routine has begun shares it, a later call gets another one', async () => {
  const io = createMemoryStorageIo();
  const file = io.open('file', { create: true });
  let runs = 0;
  function* datasync(): IoRoutine<void> {
    runs++;
    yield* ioSteps.datasync(io, file);
  }
  const shared = new SharedRoutine(new RoutineQueue(io), datasync);
  const first = shared.run();
  const behind = [shared.run(), shared.run(), shared.run()];
  expect(runs).toBe(1);
  expect(new Set(behind).size).toBe(1);
  await first;
  await Promise.all(behind);
  expect(runs).toBe(2);
  shared.runSync();
  await shared.run();
  expect(runs).toBe(4);
});

it('a run that fails does not affect another run', async () => {
  let fails = true;
  const shared = new SharedRoutine(new RoutineQueue(createMemoryStorageIo()), () => {
    if (fails) throw new Error('now');
    return nothing();
  });
  await expect(shared.run()).rejects.toThrow('now');
  fails = false;
  await shared.run();
});

function* nothing(): IoRoutine<void> {}
