const BEGIN = '<!-- results -->';
const END = '<!-- end of results -->';

/** Puts a text between the two marks of a page. @throws where they are not there */
export function withResults(page: string, text: string): string {
  const begin = page.indexOf(BEGIN);
  const end = page.indexOf(END);
  if (begin === -1 || end < begin) throw new Error(`there is no ${BEGIN} … ${END} in the README`);
  return `${page.slice(0, begin + BEGIN.length)}\n\n${text}\n\n${page.slice(end)}`;
}
