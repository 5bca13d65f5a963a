/**
 * What the other packages of this repository share, and users do not need: the manifest of a per-core log. It may change in any
 * version.
 *
 * @packageDocumentation
 */

export { coreDirectory } from './core/core-directory.js';
export { decodeManifest, encodeManifest, type Manifest, manifestPath } from './recovery/manifest.js';
