import { Wal } from '@walstack/wal';

/** An event of the log: an amount in cents goes to an account. Each has a number of its own. */
export interface Payment {
  readonly number: number;
  readonly account: string;
  readonly cents: number;
}

const ACCOUNTS = ['rent', 'wages', 'tax', 'power'] as const;

/** The payment with a number. */
export const paymentOf = (number: number): Payment => ({
  number,
  account: ACCOUNTS[number % ACCOUNTS.length] as string,
  cents: 100 + ((number * 7919) % 10_000),
});

/** What a log says of all payments. */
export interface Books {
  readonly balances: ReadonlyMap<string, number>;
  /** How often each payment is in the log, by its number. */
  readonly payments: ReadonlyMap<number, number>;
  readonly lastLsn: number;
}

/** Reads a log from its beginning: that of the writer, or a replica, which another process may be writing. */
export async function booksOf(directory: string): Promise<Books> {
  await using wal = await Wal.open<Payment>(directory, { encoding: 'json', recoveryMode: 'readonly' });
  const balances = new Map<string, number>();
  const payments = new Map<number, number>();
  let lastLsn = 0;
  await wal.replay('first', ({ lsn, payload: { number, account, cents } }) => {
    balances.set(account, (balances.get(account) ?? 0) + cents);
    payments.set(number, (payments.get(number) ?? 0) + 1);
    lastLsn = lsn;
  });
  return { balances, payments, lastLsn };
}
