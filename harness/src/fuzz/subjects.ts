import { crc32c, scanFrames, sealFrames } from '@walstack/codec';

/** The functions of which there may be several implementations, each to do exactly what the others do. */
export interface Subject {
  readonly name: string;
  readonly crc32c: typeof crc32c;
  readonly sealFrames: typeof sealFrames;
  readonly scanFrames: typeof scanFrames;
}

/** Every implementation. A line here, and it is fuzzed like the others. */
export const SUBJECTS: readonly Subject[] = [{ name: 'JavaScript', crc32c, sealFrames, scanFrames }];
