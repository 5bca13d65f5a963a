import { relative, resolve } from 'node:path';

/** Where the log goes, seen from where the program runs, which is the root of the repository. */
export const DEFAULT_DATA = 'data/quickstart';

/** Where the user stands, also when a package manager has changed the directory. */
const standing = process.env['INIT_CWD'] ?? '.';

/** A path that the user has given. */
export const fromUser = (path: string): string => resolve(standing, path);

/** A path to show to the user, who may give it back. */
export const forUser = (path: string): string => relative(standing, path) || '.';
