// Loaded before a program, so that syncs of directories do nothing in it.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const { fsync, fsyncSync } = fs;
const isDirectory = (fd) => fs.fstatSync(fd).isDirectory();

fs.fsyncSync = (fd) => {
  if (!isDirectory(fd)) fsyncSync(fd);
};
fs.fsync = (fd, done) => (isDirectory(fd) ? setImmediate(done, null) : fsync(fd, done));
syncBuiltinESMExports();
