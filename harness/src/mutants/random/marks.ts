import type { Mutation, Variant } from './mutations.js';

/** A change that is put into a source, and its number. */
export interface Numbered {
  readonly number: number;
  readonly mutation: Pick<Mutation, 'variants'>;
}

/**
 * Puts changes into a source, so that which of them is made is chosen while it runs: `changed` is asked for each one that is
 * reached. Without a choice the source does what it did.
 *
 * @param runtime - the module with `changed`
 */
export function withChanges(text: string, changes: readonly Numbered[], runtime: string): string {
  const places = new Map<string, Place>();
  for (const { number, mutation } of changes) {
    for (const { code, ...range } of mutation.variants) {
      const key = `${range.start} ${range.end} ${range.isStatement}`;
      const place = places.get(key) ?? { ...range, choices: [] };
      place.choices.push({ number, code });
      places.set(key, place);
    }
  }
  if (places.size === 0) return text;
  // What is around something comes before it, and a statement is around an expression with the same text.
  const ordered = [...places.values()].sort(
    (a, b) => a.start - b.start || b.end - a.end || Number(b.isStatement) - Number(a.isStatement),
  );
  return `import { changed as ${NAME} } from ${JSON.stringify(runtime)};${written(text, 0, text.length, ordered)}`;
}

/** Not a name that a source has. */
const NAME = '__changedAtRandom';

/** What is replaced, and by what. */
interface Place extends Omit<Variant, 'code'> {
  readonly choices: { readonly number: number; readonly code: string }[];
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

const chosen = ({ isStatement, choices }: Place, otherwise: string): string =>
  isStatement
    ? `{ ${choices.map(({ number, code }) => `if (${NAME}(${number})) { ${code} } else `).join('')}{ ${otherwise} } }`
    : `(${choices.map(({ number, code }) => `${NAME}(${number}) ? (${code}) : `).join('')}(${otherwise}))`;
