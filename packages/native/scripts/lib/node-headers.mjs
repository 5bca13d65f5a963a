import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import process from 'node:process';

const prefix = resolve(process.execPath, '../..');
const include = resolve(prefix, 'include', 'node');

/**
 * Where the headers of the Node.js that runs this lie, if they came with it: the folder that node-gyp calls `nodedir`,
 * and the one that a compiler is given. Where there are none, node-gyp fetches them.
 *
 * @type {{ nodedir: string, include: string } | undefined}
 */
export const nodeHeaders = existsSync(resolve(include, 'node_api.h')) ? { nodedir: prefix, include } : undefined;
