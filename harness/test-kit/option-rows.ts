import { inspect } from 'node:util';

/** The names and the cell "default" of each row in the tables of options of a page. A row may have several names. */
export function optionRows(page: string): { readonly names: readonly string[]; readonly shown: string }[] {
  const rows = [];
  let column = -1;
  for (const line of page.split('\n')) {
    const cells = line.split('|').map((cell) => cell.trim());
    if (cells[1] === 'option') column = cells.indexOf('default');
    else if (!line.startsWith('|')) column = -1;
    else if (column > 0 && !line.startsWith('| ---')) {
      const names = [...(cells[1] ?? '').matchAll(/`(\w+)`/g)].map(([, name = '']) => name);
      rows.push({ names, shown: cells[column] ?? '' });
    }
  }
  return rows;
}

/** The doc comment of each option of an interface. */
export function optionComments(source: string, name: string): Map<string, string> {
  const start = source.indexOf(`export interface ${name}`);
  const body = source.slice(start, source.indexOf('\n}\n', start));
  const members = body.matchAll(/\/\*\*((?:(?!\*\/).)*)\*\/\s+readonly (\w+)/gs);
  return new Map(
    [...members].map(([, comment = '', option = '']) => [option, comment.replace(/\s+\*?\s*/g, ' ').trim()]),
  );
}

/** The two defaults of an option that depends on the backend. */
const BY_BACKEND: Readonly<Record<string, readonly [unknown, unknown]>> = {
  preallocate: ['write', 'none'],
  recycleSegments: [4, 0],
  reserveBytes: [65_536, 0],
};

/** How pages and comments show the default that a table of options has: sizes in MiB, other numbers as digits. */
export function shownDefault(option: string, value: unknown): RegExp {
  const [one, other] = BY_BACKEND[option] ?? [];
  if (value === undefined && one !== undefined) return new RegExp(`^${shown(one)} if .*, else ${shown(other)}$`);
  // Without a default nothing is shown, or what that means; functions are described in words.
  if (value === undefined) return /^(none|)$/;
  if (/Mode$/.test(option) && typeof value === 'number') return new RegExp(`^\`0o${value.toString(8)}\`$`);
  if (typeof value === 'function') return /^(those of the system|`.+)$/;
  return new RegExp(`^${shown(value)}$`);
}

/** A value as pages show it. */
export function shown(value: unknown): string {
  if (typeof value !== 'number') return `\`${inspect(value)}\``;
  return value > 0 && value % (1024 * 1024) === 0 ? `${value / (1024 * 1024)} MiB` : `${value}`;
}

/** The default that a doc comment names, as far as it is a value: what follows "Default", up to the next mark. */
export function namedDefault(comment: string): string {
  return /\bDefault (none|[`\d].*?)(?=[.:;](?:\s|$)|, (?!else)|$)/.exec(comment)?.[1] ?? '';
}
