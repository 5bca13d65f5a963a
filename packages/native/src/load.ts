import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { Binding } from './binding.js';

/** Has to be the same number as in the addon's source. */
const BINDING_VERSION = 1;

/** Either the binary, or in one sentence why it is missing. */
type Loaded =
  | { readonly binding: Binding; readonly reason: undefined }
  | { readonly binding: undefined; readonly reason: string };

/** Adds a full stop to `reason`, unless it has one: messages of the system may. */
const missing = (reason: string): Loaded => ({ binding: undefined, reason: reason.replace(/\.?$/, '.') });

/** The first line of an error message: those of loaders continue with lists of folders. */
const firstLineOf = (error: unknown): string => {
  const [line = ''] = String(error instanceof Error ? error.message : error).split('\n', 1);
  return line;
};

/** The exports of `node-gyp-build`. */
interface Finder {
  /** The path of the binary for this platform, processor and C library. @throws when there is none */
  resolve(folder: string): string;
}

/**
 * Looks for the binary: one that was built here (`build/`), otherwise one that came with the package (`prebuilds/`).
 * Both are beside the folder of this file, which is why this package must not be bundled.
 */
function load(): Loaded {
  const { platform, arch } = process;
  const { WALSTACK_NATIVE: wanted } = process.env;
  if (wanted === '0') return missing('The native addon is turned off by WALSTACK_NATIVE=0.');
  const require = createRequire(import.meta.url);
  let path: string;
  try {
    path = (require('node-gyp-build') as Finder).resolve(fileURLToPath(new URL('..', import.meta.url)));
  } catch (error) {
    const line = firstLineOf(error);
    // Its message for "not found" is a list of everything that it searched for.
    const why = line.startsWith('No native build was found') ? '' : `: ${line}`;
    return missing(`The native addon has no binary here, neither built nor prebuilt for ${platform}-${arch}${why}`);
  }
  try {
    const binding = require(path) as Binding;
    if (binding.bindingVersion === BINDING_VERSION) return { binding, reason: undefined };
    return missing(
      `The native addon's binary is of another version than its JavaScript, build or install it again: ${path}`,
    );
  } catch (error) {
    return missing(`The native addon's binary does not load: ${firstLineOf(error)}`);
  }
}

const loaded = load();

/** The binary, or `undefined`. */
export const binding: Binding | undefined = loaded.binding;

/** Whether the addon's binary was loaded. Never changes while the process lives. */
export const available: boolean = loaded.binding !== undefined;

/** Why there is no binary, in one sentence; `undefined` when it is loaded. */
export const unavailableReason: string | undefined = loaded.reason;

/** The binary, for functions that need it. @throws `Error` (`ERR_WALSTACK_NATIVE_UNAVAILABLE`) */
export function requireBinding(): Binding {
  if (loaded.binding !== undefined) return loaded.binding;
  throw Object.assign(new Error(loaded.reason), { code: 'ERR_WALSTACK_NATIVE_UNAVAILABLE' });
}
