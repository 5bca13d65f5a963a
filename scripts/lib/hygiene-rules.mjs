import { isCode } from './source-files.mjs';

/**
 * @typedef {object} HygieneRule
 * @property {string} says
 * @property {RegExp} pattern
 * @property {(file: string) => boolean} holdsFor
 */

/** @param {string} file */
const isSource = (file) => isCode(file) || /\.(?:json|ya?ml|py|sh)$/.test(file);

/** @param {string} file */
const isTestFile = (file) => /\.test\.[cm]?[jt]s$/.test(file);

/** @type {HygieneRule[]} */
const rules = [
  {
    says: 'a test that is focused, skipped or still to be written',
    pattern: /\b(?:describe|suite|test|it)(?:\.\w+)*\.(?:only|skip|todo)\b|\b(?:fit|fdescribe|xit|xdescribe|xtest)\(/,
    holdsFor: isTestFile,
  },
  // The last letters stand in brackets so that the pattern is not found in its own line.
  { says: 'a mark of unfinished work', pattern: /\b(?:TOD[O]|FIXM[E]|XX[X])\b/, holdsFor: isSource },
  {
    says: "a path of somebody's machine",
    pattern: /(?<![\w.])\/(?:home|Users)\/\w|(?<![\w./])\/root\/|\b[A-Z]:\\Users\\/,
    holdsFor: () => true,
  },
  {
    says: 'a download address',
    pattern: /\b(?:tarball|registry):/,
    holdsFor: (file) => file === 'pnpm-lock.yaml',
  },
];

/**
 * What a file holds that must not stay, a line each.
 *
 * @param {string} file relative to the root, with forward slashes
 * @param {string} text
 */
export const hygieneViolations = (file, text) => {
  const lines = text.split('\n');
  return rules
    .filter(({ holdsFor }) => holdsFor(file))
    .flatMap(({ says, pattern }) =>
      lines.flatMap((line, index) => (pattern.test(line) ? [`${file}:${index + 1} ${says}: ${line.trim()}`] : [])),
    );
};
