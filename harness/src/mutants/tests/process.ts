// Runs files of tests, one after the other, with all packages from source. Vitest is started once for all of them.
import { join, relative, resolve } from 'node:path';
import process from 'node:process';
import { createVitest } from 'vitest/node';
import { SOURCES } from '../sources.js';
import { outcomeOf } from './outcome.js';
import type { TestsReply, TestsRequest, TestsSetup } from './protocol.js';
import { textWith } from './worker-programs.js';

const { root, overlay, native } = JSON.parse(process.argv[2] as string) as TestsSetup;
const sources = native === undefined ? {} : { '@walstack/native': join(native, 'src/index.ts') };

const vitest = await createVitest(
  'test',
  {
    root,
    config: false,
    watch: false,
    reporters: [{}],
    pool: 'forks',
    maxWorkers: 1,
    testTimeout: 60_000,
    include: ['packages/*/test/**/*.test.ts'],
    // The same properties each time: what differs is the change.
    setupFiles: [join(root, 'scripts/lib/seed-properties.mjs')],
    env: { WALSTACK_TEST_SEED: '1' },
  },
  {
    resolve: {
      // Longer names first: the name of a package begins the names of its other entry points.
      alias: Object.entries({ ...SOURCES, ...sources })
        .sort(([a], [b]) => b.length - a.length)
        .map(([find, file]) => ({ find, replacement: resolve(root, file) })),
    },
    plugins: [
      {
        name: 'overlay',
        enforce: 'pre',
        load: (id: string) =>
          overlay !== undefined && id.endsWith('.ts') ? textWith(root, overlay, relative(root, id)) : undefined,
      },
    ],
  },
);
await vitest.standalone();

async function run({ file, env }: TestsRequest): Promise<TestsReply> {
  const before = Object.fromEntries(Object.keys(env).map((name) => [name, process.env[name]]));
  Object.assign(process.env, env);
  const specification = vitest.getRootProject().createSpecification(join(root, file));
  const result = await vitest.runTestSpecifications([specification]);
  for (const [name, value] of Object.entries(before)) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
  return outcomeOf({ moduleId: specification.moduleId, file }, result);
}

process.on('disconnect', () => process.exit());
process.on('message', (request: TestsRequest) => {
  run(request).then(
    (reply) => process.send?.(reply),
    (error: Error) => process.send?.({ ran: 0, failed: [`${request.file} does not run: ${error.message}`] }),
  );
});
process.send?.('ready');
