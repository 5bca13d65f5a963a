// Loaded before a program, so that syncs of the bytes of files do nothing in it.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

fs.fdatasyncSync = () => {};
fs.fdatasync = (_fd, done) => setImmediate(done, null);
syncBuiltinESMExports();
