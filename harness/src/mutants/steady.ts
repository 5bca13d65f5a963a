/** What a part says of a change or a defect. */
export type Noticed = { readonly by: string | undefined } | 'unsteady';

/**
 * Runs a part. One that fails now and then has noticed nothing: it has to pass without the change, and to fail with it again.
 *
 * @param run - runs it with the change or without it, and says what has failed
 */
export async function noticedSteadily(run: (isChanged: boolean) => Promise<string | undefined>): Promise<Noticed> {
  const by = await run(true);
  if (by === undefined) return { by };
  if ((await run(false)) !== undefined) return 'unsteady';
  return (await run(true)) === undefined ? 'unsteady' : { by };
}
