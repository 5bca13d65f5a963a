import { project } from './projection.js';
import { board, sales } from './projections.js';

/**
 * Keeps the projections up to date until it is sent SIGTERM.
 *
 * node projector.js DIRECTORY
 */
const [directory = ''] = process.argv.slice(2);
const ending = new AbortController();
process.once('SIGTERM', () => ending.abort());
const { signal } = ending;
await Promise.all([project(directory, sales, { signal }), project(directory, board, { signal })]);
