import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { Binding } from './binding.js';

/** The same number stands in the addon's source. */
const BINDING_VERSION = 1;

/** Either the binary, or in one sentence why it is not there. */
type Loaded =
  | { readonly binding: Binding; readonly reason: undefined }
  | { readonly binding: undefined; readonly reason: string };

const missing = (reason: string): Loaded => ({ binding: undefined, reason });

/**
 * Looks for the binary: one that was built here (`build/`), else one that came with the package (`prebuilds/`). Both lie
 * beside the folder of this file, which is why this package must not be bundled.
 */
function load(): Loaded {
  const { WALSTACK_NATIVE: wanted } = process.env;
  if (wanted === '0') return missing('The native addon is turned off by WALSTACK_NATIVE=0.');
  const require = createRequire(import.meta.url);
  try {
    const find = require('node-gyp-build') as (folder: string) => Binding;
    const binding = find(fileURLToPath(new URL('..', import.meta.url)));
    if (binding.bindingVersion === BINDING_VERSION) return { binding, reason: undefined };
    return missing('The native addon is of another version than its JavaScript: build or install it again.');
  } catch (error) {
    const firstLine = String(error instanceof Error ? error.message : error).split('\n', 1)[0];
    return missing(`The native addon has no binary that loads on ${process.platform}-${process.arch}: ${firstLine}`);
  }
}

const loaded = load();

/** The binary, or `undefined`. */
export const binding: Binding | undefined = loaded.binding;

/** Whether the addon's binary was loaded. Never changes while the process lives. */
export const available: boolean = loaded.binding !== undefined;

/** Why there is no binary, in one sentence; `undefined` when it is there. */
export const unavailableReason: string | undefined = loaded.reason;

/** The binary, for functions that can do nothing without it. @throws `Error` (`ERR_WALSTACK_NATIVE_UNAVAILABLE`) */
export function requireBinding(): Binding {
  if (loaded.binding !== undefined) return loaded.binding;
  throw Object.assign(new Error(loaded.reason), { code: 'ERR_WALSTACK_NATIVE_UNAVAILABLE' });
}
