// The same as use.mjs, as a CommonJS module.
const { mkdtempSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { available } = require('@walstack/native');
const { Wal } = require('@walstack/wal');

const main = async () => {
  const folder = mkdtempSync(join(tmpdir(), 'walstack-use-'));
  const written = await Wal.open(join(folder, 'log'));
  await Promise.all([written.commit('one'), written.commit('two')]);
  await written.shutdown();

  const wal = await Wal.open(join(folder, 'log'));
  /** @type {string[]} */
  const texts = [];
  await wal.replay('first', ({ payload }) => {
    texts.push(Buffer.from(payload).toString());
  });
  await wal.shutdown();
  rmSync(folder, { recursive: true });
  console.log(JSON.stringify({ available, texts }));
};

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
