import { expect, test } from 'vitest';
import { packedViolations, publishOrder, publishScript } from '../lib/release-rules.mjs';

/** @param {string} name @param {string[]} needed @param {object} [rest] */
const member = (name, needed, rest) => ({
  folder: `packages/${name}`,
  manifest: {
    name: `@walstack/${name}`,
    version: '1.2.3',
    dependencies: Object.fromEntries(needed.map((other) => [`@walstack/${other}`, '1.2.3'])),
    ...rest,
  },
});

test('packages are published behind those that they depend on, each once', () => {
  const members = [member('wal', ['segmented', 'codec']), member('codec', ['native']), member('native', [])];
  const ordered = publishOrder([...members, member('segmented', ['codec'])]);
  expect(ordered.map(({ folder }) => folder)).toEqual(
    ['native', 'codec', 'segmented', 'wal'].map((name) => `packages/${name}`),
  );
});

test('a release is published with provenance, and one before a release not as the latest', () => {
  const lines = publishScript(['a.tgz', 'b.tgz'], '1.2.3').trim().split('\n');
  expect(lines).toEqual([
    '#!/bin/sh',
    'set -e',
    'npm publish a.tgz --access public --provenance',
    'npm publish b.tgz --access public --provenance',
  ]);
  expect(publishScript(['a.tgz'], '2.0.0-beta.1')).toContain('--provenance --tag next\n');
});

test('packed packages have one version, and depend on each other in it', () => {
  const names = ['@walstack/wal', '@walstack/codec'];
  const { manifest } = member('wal', ['codec']);
  expect(packedViolations(manifest, '1.2.3', names)).toEqual([]);
  expect(packedViolations(manifest, '1.3.0', names)).toEqual([
    '@walstack/wal has the version 1.2.3, not 1.3.0',
    '@walstack/wal depends on @walstack/codec 1.2.3, not 1.3.0',
  ]);
  const unresolved = { ...manifest, dependencies: { '@walstack/codec': 'workspace:*' } };
  expect(packedViolations(unresolved, '1.2.3', names)).toEqual([expect.stringContaining('npm cannot install')]);
});
