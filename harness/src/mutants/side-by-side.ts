/** Does something with each item, so many side by side, in their order. */
export async function sideBySide<Item>(
  items: readonly Item[],
  jobs: number,
  work: (item: Item, job: number) => Promise<void>,
): Promise<void> {
  const rest = items.values();
  const job = async (_: unknown, number: number): Promise<void> => {
    for (const item of rest) await work(item, number);
  };
  await Promise.all(Array.from({ length: jobs }, job));
}

/** Seconds since a moment of the clock of `performance`, with one place. */
export const secondsSince = (started: number): number => Math.round((performance.now() - started) / 100) / 10;
