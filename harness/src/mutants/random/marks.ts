import type { Mutation, Variant } from './mutations.js';

/** A change that is put into a source, and its number. */
export interface Numbered {
  readonly number: number;
  readonly mutation: Pick<Mutation, 'variants'>;
}

/**
 * Puts changes into a source, so that which of them is made is chosen while it runs: `changed` is asked for each one that is
 * reached, where that can be seen only for those that make a difference. Without a choice the source does what it did.
 *
 * @param runtime - the module with `changed`
 */
export function withChanges(text: string, changes: readonly Numbered[], runtime: string): string {
  const places = new Map<string, Place>();
  for (const { number, mutation } of changes) {
    for (const { code, isPure, ...range } of mutation.variants) {
      const key = `${range.start} ${range.end} ${range.isStatement}`;
      const place = places.get(key) ?? { ...range, choices: [] };
      place.choices.push({ number, code, isPure });
      places.set(key, place);
    }
  }
  if (places.size === 0) return text;
  // What is around something comes before it, and a statement is around an expression with the same text.
  const ordered = [...places.values()].sort(
    (a, b) => a.start - b.start || b.end - a.end || Number(b.isStatement) - Number(a.isStatement),
  );
  return `import { changed as ${NAME}, isMade as ${IS_MADE}, unlike as ${UNLIKE} } from ${JSON.stringify(runtime)};${written(text, 0, text.length, ordered)}`;
}

/** Not names that a source has. */
const NAME = '__changedAtRandom';
const IS_MADE = '__isMadeAtRandom';
const UNLIKE = '__unlikeAtRandom';

/** What is replaced, and by what. */
interface Place extends Omit<Variant, 'code' | 'isPure'> {
  readonly choices: (Pick<Variant, 'code' | 'isPure'> & { readonly number: number })[];
}

/** A piece of a source with the places in it, which it takes off the list. */
function written(text: string, start: number, end: number, places: Place[]): string {
  let result = '';
  let at = start;
  for (let place = places[0]; place !== undefined && place.start < end; place = places[0]) {
    places.shift();
    result += text.slice(at, place.start) + chosen(place, written(text, place.start, place.end, places));
    at = place.end;
  }
  return result + text.slice(at, end);
}

function chosen({ isStatement, choices }: Place, otherwise: string): string {
  if (isStatement) {
    return `{ ${choices.map(({ number, code }) => `if (${NAME}(${number})) { ${code} } else `).join('')}{ ${otherwise} } }`;
  }
  const made = choices.map(({ number, code, isPure }) => `${isPure ? IS_MADE : NAME}(${number}) ? (${code}) : `);
  const compared = choices
    .filter(({ isPure }) => isPure)
    .reduce((value, { number, code }) => `${UNLIKE}(${number}, ${value}, () => (${code}))`, `(${otherwise})`);
  return `(${made.join('')}${compared})`;
}
