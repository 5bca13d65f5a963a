import { play, scenes } from './scenes.js';
import { strip } from './strip.js';

/** The pictures of docs/recovery.md by the names of their files, drawn from a run of each scene. */
export async function recoveryPictures(): Promise<Map<string, string>> {
  const pictures = new Map<string, string>();
  for (const scene of scenes) pictures.set(`recovery-${scene.name}.svg`, strip(scene, await play(scene)));
  return pictures;
}
