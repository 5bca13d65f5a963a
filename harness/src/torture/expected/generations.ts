/** More lives than a log ever has. */
const LIVES = 0x1_0000;

/**
 * What the records of a life have in common up to the next cut of that life: it is their type. Behind a cut the same LSNs
 * are given out again, and what gets them then has to be told from what had them before.
 *
 * @param cuts - how many cuts the life has made; with none, the generation has the number of the life
 */
export const generationOf = (life: number, cuts: number): number => life + cuts * LIVES;

/** The life of a generation. */
export const lifeOf = (generation: number): number => generation % LIVES;
