/** More runs than a log ever has. */
const RUNS = 0x1_0000;

/**
 * What the records of a run have in common up to the next cut of that run: it is their type. Behind a cut the same LSNs
 * are given out again, and what gets them then has to be told from what had them before.
 *
 * @param cuts - how many cuts the run has made; with none, the generation has the number of the run
 */
export const generationOf = (run: number, cuts: number): number => run + cuts * RUNS;

/** The run of a generation. */
export const runOf = (generation: number): number => generation % RUNS;
