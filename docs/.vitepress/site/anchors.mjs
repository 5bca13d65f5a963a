/**
 * The anchor of a heading, as GitHub makes it: so a link to a part of a page leads there on the site, too.
 *
 * @param {string} heading
 */
export const anchorOf = (heading) =>
  heading
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replace(/\s/g, '-');
