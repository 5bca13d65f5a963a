// Holds the layers: which package may import which, and that imports between packages go through their front doors.
// Usage: node scripts/check-layers.mjs [folder of a workspace]
import process from 'node:process';
import { violationsOfLayers } from './lib/layer-rules.mjs';
import { repositoryRoot } from './lib/workspace.mjs';

/**
 * What each package may import, from the lowest up; none may import what stands below it in this table. Examples and
 * benchmarks may import any.
 */
const mayImport = {
  native: [],
  codec: ['native'],
  'storage-io': ['codec', 'native'],
  'mmap-reader': ['storage-io', 'codec', 'native'],
  segmented: ['mmap-reader', 'storage-io', 'codec', 'native'],
  percore: ['segmented', 'mmap-reader', 'storage-io', 'codec', 'native'],
  wal: ['percore', 'segmented', 'mmap-reader', 'storage-io', 'codec', 'native'],
  cli: ['wal', 'percore', 'segmented', 'mmap-reader', 'storage-io', 'codec', 'native'],
  // Its binary is the command line with further commands.
  jetstream: ['cli', 'wal', 'percore', 'segmented', 'mmap-reader', 'storage-io', 'codec', 'native'],
};

/**
 * Packages from outside that a user would have to install too, each with the reason why it is worth that.
 *
 * @type {Record<string, string>}
 */
const outsideDependencies = {
  '@opentelemetry/api':
    'an optional peer: only who imports @walstack/wal/opentelemetry needs it, and has it (decision 13)',
  commander: 'parses the arguments of @walstack/cli and prints its help, without dependencies of its own (decision 23)',
  '@nats-io/jetstream':
    'the API of JetStream over a connection; only @walstack/jetstream, which is optional (decision 26)',
  '@nats-io/nats-core': 'headers and errors of the protocol of NATS, which the other two share (decision 26)',
  '@nats-io/transport-node': 'connections to NATS servers, TLS included (decision 26)',
  'node-gyp-build': 'finds the addon binary for this platform and C library: the loader that Node-API packages share',
};

const violations = violationsOfLayers(process.argv[2] ?? repositoryRoot, { mayImport, outsideDependencies });
for (const violation of violations) {
  process.stdout.write(`${violation}\n`);
}
process.exitCode = violations.length === 0 ? 0 : 1;
