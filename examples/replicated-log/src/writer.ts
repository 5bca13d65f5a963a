/** `node writer.js DIRECTORY UP-TO SERVER…`: the process that takes payments. It prints the number of each that is replicated. */
import process from 'node:process';
import { LogShipper } from '@walstack/jetstream';
import { Wal } from '@walstack/wal';
import { type Payment, paymentOf } from './payments.js';
import { streamOf } from './stream.js';

/** Payments that are under way at the same time. */
const AT_ONCE = 64;

const [directory = '', upTo = '', replicas = '', ...servers] = process.argv.slice(2);

await using wal = await Wal.open<Payment>(directory, { encoding: 'json' });
await using shipper = LogShipper.start(wal, {
  ...streamOf(servers),
  create: { num_replicas: Number(replicas) },
  retryMs: 500,
});

/** Payments are numbered as they come, from where the log ends. */
let next = wal.lastLsn + 1;

async function pay(): Promise<void> {
  while (next <= Number(upTo)) {
    const payment = paymentOf(next++);
    // Durable on this machine, and on a majority of the servers: only then it is acknowledged.
    await shipper.replicated(wal.commit(payment));
    process.stdout.write(`${payment.number}\n`);
  }
}

await Promise.all(Array.from({ length: AT_ONCE }, pay));
