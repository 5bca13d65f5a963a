// Counts the work of opening hostile segments of several sizes, and prints it as JSON: an array of
// { name, sizes, work }. To be run with --no-opt and WALSTACK_NATIVE=0: only code that is not optimized is counted whole, nothing of the addon is, and only code that
// was compiled while the counting was on.
import { type Profiler, Session } from 'node:inspector';

const SIZES = [64, 128, 256, 512].map((kibibytes) => kibibytes * 1024);

/** The packages whose work is counted. */
const COUNTED = /\/packages\/(?:codec|mmap-reader|segmented|storage-io)\/dist\/[\w-]+\.js$/;

const session = new Session();
session.connect();
session.post('Profiler.enable');
session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });

/** How often blocks of walstack's own code were run since the last call, loops with each of their rounds. */
function takeCount(): number {
  let scripts: Profiler.ScriptCoverage[] = [];
  // In its own thread a session answers before `post` returns.
  session.post('Profiler.takePreciseCoverage', (error, answer) => {
    if (error !== null) throw error;
    scripts = answer.result;
  });
  const ranges = scripts
    .filter(({ url }) => COUNTED.test(url))
    .flatMap(({ functions }) => functions.flatMap((each) => each.ranges));
  return ranges.reduce((sum, { count }) => sum + count, 0);
}

const { HOSTILE_BODIES, openHostile } = await import('./hostile-bodies.js');
const results = Object.entries(HOSTILE_BODIES).map(([name, make]) => {
  const work = SIZES.map((bytes) => {
    const open = openHostile(make(bytes));
    takeCount();
    open();
    return takeCount();
  });
  return { name, sizes: SIZES, work };
});
console.log(JSON.stringify(results));
