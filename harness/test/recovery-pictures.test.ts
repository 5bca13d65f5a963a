import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { recoveryPictures } from '../src/pictures/pictures.js';

const folder = new URL('../../docs/pictures/', import.meta.url);
const pictures = await recoveryPictures();

test('docs/pictures has a picture of each scene, and no other', () => {
  expect(readdirSync(folder).sort()).toEqual([...pictures.keys()].sort());
});

test.each([...pictures])('%s is what recovery does; `pnpm pictures` draws it again', (name, picture) => {
  expect(readFileSync(new URL(name, folder), 'utf8')).toBe(picture);
});
