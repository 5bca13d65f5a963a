// Works on files as where the file system has no locks on open files: the addon's calls fail with the error given.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

const [directory, code, errno, backend] = process.argv.slice(2);
const { dlopen } = process;
process.dlopen = (module, ...rest) => {
  dlopen(module, ...rest);
  const fail = () => {
    throw Object.assign(new Error(`${code}: fcntl`), { code, errno: Number(errno), syscall: 'fcntl' });
  };
  for (const name of ['lockFile', 'unlockFile', 'holdLock']) if (name in module.exports) module.exports[name] = fail;
};

const { ioSteps, openStorageIo, PortableWalWriter, runAsync } = await import('@walstack/storage-io');

const codeOf = (call) => {
  try {
    call();
    return 'none';
  } catch (error) {
    return error.code;
  }
};

const io = openStorageIo(backend);
const openFiles = () => readdirSync('/proc/self/fd').length;
const before = openFiles();
const file = io.open(join(directory, 'file'), { create: true });
await runAsync(io, ioSteps.write(io, file, new Uint8Array(10), 0));
const lockFile = codeOf(() => io.lockFile(file, 'exclusive'));
const close = codeOf(() => io.close(file));
const leaked = openFiles() - before;

const path = join(directory, 'LOCK');
const release = io.lock(path);
const second = codeOf(() => io.lock(path));
release();
io.lock(path)();

const writer = await PortableWalWriter.open(join(directory, 'writer'), { io });
writer.append(new Uint8Array(10));
await writer.close();
await io.dispose();
console.log(JSON.stringify({ lockFile, close, leaked, second }));
