import { createHistogram } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { parsing, runProgram, UsageError, whole } from './command-line.js';

const HELP = `Posts events to the server of this example, and prints how long the answers took.

  pnpm ingest:load
  pnpm ingest:load --count 100000 --callers 64 --seconds 30

  --count N      how many events, 1 to 1,000,000 (default 2000)
  --callers N    how many POSTs at a time, 1 to 512 (default 16)
  --seconds N    it ends after so long in any case, 1 to 600 (default 10)
  --url URL      the server, on this machine (default http://127.0.0.1:8080)
  --help         this text`;

const NAMES = ['page.viewed', 'cart.changed', 'order.placed', 'order.paid'];
const LOOPBACK = new Set(['127.0.0.1', '[::1]', 'localhost']);

const OPTIONS = {
  count: { type: 'string', default: '2000' },
  callers: { type: 'string', default: '16' },
  seconds: { type: 'string', default: '10' },
  url: { type: 'string', default: 'http://127.0.0.1:8080' },
} as const;

await runProgram(HELP, main);

async function main(): Promise<void> {
  const { values } = parsing(() => parseArgs({ options: OPTIONS }));
  const count = whole('count', values.count, 1, 1_000_000);
  const callers = whole('callers', values.callers, 1, 512);
  const seconds = whole('seconds', values.seconds, 1, 600);
  const url = new URL('/events', values.url);
  if (!LOOPBACK.has(url.hostname)) throw new UsageError(`--url must be of this machine, not ${url.hostname}`);
  await load(url, count, callers, seconds * 1000);
}

async function load(url: URL, count: number, callers: number, ms: number): Promise<void> {
  const latencies = createHistogram();
  const answers = new Map<number, number>();
  const began = performance.now();
  let begun = 0;

  async function call(): Promise<void> {
    while (begun < count && performance.now() - began < ms) {
      const number = begun++;
      const posted = performance.now();
      const status = await post(url, number);
      latencies.record(Math.max(1, Math.round((performance.now() - posted) * 1000)));
      answers.set(status, (answers.get(status) ?? 0) + 1);
      // Nothing to be gained from asking a full disk at full speed.
      if (status !== 201) await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  await Promise.all(Array.from({ length: Math.min(callers, count) }, call));
  const took = (performance.now() - began) / 1000;
  const durable = answers.get(201) ?? 0;
  console.log(`${durable} events durable in ${took.toFixed(1)} s: ${Math.round(durable / took)} per second`);
  const [p50, p95, p99] = [50, 95, 99].map((percent) => (latencies.percentile(percent) / 1000).toFixed(1));
  console.log(`answers took ${p50} ms (median), ${p95} ms (95 %), ${p99} ms (99 %)`);
  for (const [status, times] of answers) if (status !== 201) console.log(`answered with ${status}: ${times}`);
  if (durable < begun) process.exitCode = 1;
}

async function post(url: URL, number: number): Promise<number> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: NAMES[number % NAMES.length], data: { number } }),
  });
  await response.arrayBuffer();
  return response.status;
}
