import type { TestModule, TestRunResult } from 'vitest/node';
import type { TestsReply } from './protocol.js';

/** What a run came to for one file of tests. Of what a run says, only that is taken: files that ran before are in it, too. */
export function outcomeOf(
  { moduleId, file }: { readonly moduleId: string; readonly file: string },
  {
    testModules,
    unhandledErrors,
  }: Pick<TestRunResult, 'unhandledErrors'> & {
    readonly testModules: readonly Pick<TestModule, 'moduleId' | 'children' | 'errors'>[];
  },
): TestsReply {
  const own = testModules.filter((module) => module.moduleId === moduleId);
  const tests = own.flatMap((module) => [...module.children.allTests()]);
  const failed = tests.filter((test) => test.result().state === 'failed').map(({ fullName }) => fullName);
  const outside = own.flatMap((module) => module.errors());
  const errors = [...outside, ...(unhandledErrors as readonly Error[])].map(({ message }) => `${file}: ${message}`);
  return {
    ran: tests.filter((test) => test.result().state === 'passed').length + failed.length,
    failed: [...failed, ...errors],
  };
}
