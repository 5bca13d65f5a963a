import { writeFileSync } from 'node:fs';
import { recoveryPictures } from './pictures.js';

for (const [name, picture] of await recoveryPictures()) {
  const file = new URL(`../../docs/pictures/${name}`, import.meta.url);
  writeFileSync(file, picture);
  console.log(`docs/pictures/${name}`);
}
