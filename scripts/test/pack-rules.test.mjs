import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { packViolations, promisedFiles } from '../lib/pack-rules.mjs';
import { manifestOf, withWorkspace } from './workspace-fixture.mjs';

const pnpm = { npm_config_user_agent: 'pnpm/10.34.9 npm/? node/v20.20.2 linux x64' };
const npm = { npm_config_user_agent: 'npm/10.8.2 node/v20.20.2 linux x64' };

describe('a package that is packed', () => {
  test('has every file that its package.json names', () => {
    const exports = {
      '.': { types: './dist/index.d.ts', default: './dist/index.js' },
      './package.json': './package.json',
    };
    const manifest = manifestOf('@walstack/cli', { exports, bin: { walstack: './dist/main.js' } });
    const files = { 'packages/cli/package.json': manifest, 'packages/cli/dist/index.js': '' };
    withWorkspace(files, (root) => {
      const folder = join(root, 'packages/cli');
      expect(packViolations(folder, pnpm)).toEqual([
        './dist/index.d.ts is missing: build the package first (pnpm build)',
        './dist/main.js is missing: build the package first (pnpm build)',
      ]);
    });
    withWorkspace({ ...files, 'packages/cli/dist/index.d.ts': '', 'packages/cli/dist/main.js': '' }, (root) => {
      expect(packViolations(join(root, 'packages/cli'), pnpm)).toEqual([]);
    });
  });

  test('is packed by pnpm where its dependencies need it', () => {
    withWorkspace({ 'packages/segmented/dist/index.js': '', 'packages/codec/dist/index.js': '' }, (root) => {
      const folder = join(root, 'packages/segmented');
      expect(packViolations(folder, pnpm)).toEqual([]);
      expect(packViolations(folder, npm)).toEqual([expect.stringContaining('use pnpm pack')]);
      expect(packViolations(join(root, 'packages/codec'), npm)).toEqual([]);
    });
  });

  test('names files as a string, or by conditions', () => {
    const manifest = {
      name: 'a',
      version: '1.0.0',
      exports: { '.': { import: { default: './a.js' } } },
      bin: './b.js',
    };
    expect(promisedFiles(manifest)).toEqual(['./a.js', './b.js']);
  });
});

test('the script before packing refuses with every reason', () => {
  withWorkspace({}, (root) => {
    const script = fileURLToPath(new URL('../prepack.mjs', import.meta.url));
    const { status, stderr } = spawnSync(process.execPath, [script], {
      cwd: join(root, 'packages/segmented'),
      env: { ...process.env, ...npm },
      encoding: 'utf8',
    });
    expect(status).toBe(1);
    expect(stderr).toContain('@walstack/segmented is not packed:\n  ./dist/index.js is missing');
    expect(stderr).toContain('only pnpm replaces');
  });
});
