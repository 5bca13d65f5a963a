import { relative, resolve } from 'node:path';

/** The default path of the log, relative to the root of the repository, where the program runs. */
export const DEFAULT_DATA = 'data/quickstart';

/** The directory of the user's shell, also when a package manager has changed the directory. */
const standing = process.env['INIT_CWD'] ?? '.';

/** A path given by the user. */
export const fromUser = (path: string): string => resolve(standing, path);

/** A path as shown to the user, who can pass it again. */
export const forUser = (path: string): string => relative(standing, path) || '.';
