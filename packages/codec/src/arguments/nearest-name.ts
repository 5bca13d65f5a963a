/**
 * The name among `names` that a misspelt one was most likely meant to be; `undefined` when none is similar. Upper and lower
 * case count as the same.
 */
export function nearestName(misspelt: string, names: readonly string[]): string | undefined {
  const wanted = misspelt.toLowerCase();
  let nearest: string | undefined;
  // So many letters of ten may be wrong, missing or too many.
  let best = Math.floor(wanted.length * 0.4) + 1;
  for (const name of names) {
    const edits = editsBetween(wanted, name.toLowerCase());
    if (edits >= best) continue;
    nearest = name;
    best = edits;
  }
  return nearest;
}

/** The number of letters to insert, remove or replace, and of neighbours to swap, that turns one text into the other. */
function editsBetween(from: string, to: string): number {
  let twoAbove: number[] = [];
  let above = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let row = 1; row <= from.length; row++) {
    const edits = [row];
    for (let column = 1; column <= to.length; column++) {
      const isSame = from[row - 1] === to[column - 1];
      const isSwapped = row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      edits[column] = Math.min(
        (above[column] as number) + 1,
        (edits[column - 1] as number) + 1,
        (above[column - 1] as number) + (isSame ? 0 : 1),
        isSwapped ? (twoAbove[column - 2] as number) + 1 : Number.POSITIVE_INFINITY,
      );
    }
    twoAbove = above;
    above = edits;
  }
  return above[to.length] as number;
}
