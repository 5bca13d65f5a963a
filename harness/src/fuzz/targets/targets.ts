import { CODEC_TARGETS } from './codec-targets.js';
import { DIRECTORY_TARGETS } from './directory-targets.js';
import { LOG_TARGETS } from './log-targets.js';
import { PAYLOAD_TARGETS } from './payload-targets.js';
import type { Target } from './target.js';

/** Everything that is fuzzed. */
export const TARGETS: readonly Target[] = [...CODEC_TARGETS, ...PAYLOAD_TARGETS, ...LOG_TARGETS, ...DIRECTORY_TARGETS];
