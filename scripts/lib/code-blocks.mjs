import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writtenFiles } from './source-files.mjs';

/**
 * @typedef {object} CodeBlock a fenced block of a page
 * @property {string} page relative to the root, with forward slashes
 * @property {number} line of its fence
 * @property {string} language the first word behind the fence
 * @property {string} mark the text of an HTML comment right before it: `fragment`, `run by FILE`, `file NAME` or `with NAME`
 * @property {string} code
 * @property {string} [output] what it prints, according to the page: the next block, behind "It prints"
 */

/**
 * The pages whose code blocks are checked: those on decisions show what was considered, and change logs what was.
 *
 * @param {string} root
 */
const pagesWithCode = (root) =>
  writtenFiles(root)
    .filter((file) => file.endsWith('.md') && !file.endsWith('CHANGELOG.md'))
    .filter((file) => !/^(?:\.changeset|data|docs\/decisions)\//.test(file));

/** @param {string} page @param {string} text @returns {CodeBlock[]} */
const codeBlocksIn = (page, text) => {
  /** @type {CodeBlock[]} */
  const blocks = [];
  let end = 0;
  for (const found of text.matchAll(/(?:^<!-- ([^\n]*) -->\n)?^( *)```([^\n]*)\n(.*?)^\2```$/gms)) {
    const [all, mark = '', indent = '', info = '', code = ''] = found;
    const between = text.slice(end, found.index);
    end = found.index + all.length;
    const previous = blocks.at(-1);
    if (previous !== undefined && /^\s*It prints[^\n]*\s*$/.test(between)) {
      previous.output = code;
      continue;
    }
    const line = text.slice(0, found.index).split('\n').length + (mark === '' ? 0 : 1);
    const plain = code.replaceAll(new RegExp(`^${indent}`, 'gm'), '');
    blocks.push({ page, line, language: info.trim().split(' ')[0] ?? '', mark, code: plain });
  }
  return blocks;
};

/** @param {string} root */
export const allCodeBlocks = (root) =>
  pagesWithCode(root).flatMap((page) => codeBlocksIn(page, readFileSync(join(root, page), 'utf8')));
