import { existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { PortableWalWriter, readFrames, ringSupport } from '@walstack/storage-io';
import { describe, expect, test } from 'vitest';
import { ForgetFs, forgetFsUnavailable } from '../src/fuse/forgetfs.js';

const unavailable = await forgetFsUnavailable();
const backends = [
  'sync-fs',
  'thread-pool',
  ...(ringSupport().available ? (['io-uring'] as const) : []),
  'auto',
] as const;

describe.skipIf(unavailable !== undefined)(
  `a file that is made through a link (${unavailable ?? 'and the power'})`,
  () => {
    test.each(backends)('is there after a power cut (%s)', async (io) => {
      const fs = await ForgetFs.mount();
      const link = join(fs.path, 'link');
      const path = join(fs.path, 'elsewhere', 'file');
      mkdirSync(join(fs.path, 'elsewhere'));
      symlinkSync(path, link);
      const keeper = await PortableWalWriter.open(join(fs.path, 'keeper'), { io });
      await keeper.close();
      const writer = await PortableWalWriter.open(link, { io, framed: true });
      await writer.appendWithChecksum('kept');
      await writer.sync();
      await writer.close();
      fs.cut();
      await fs.remount();
      expect(existsSync(path)).toBe(true);
      expect([...readFrames(path, { io: 'sync-fs' })].map(({ data }) => Buffer.from(data).toString())).toEqual([
        'kept',
      ]);
      await fs.unmount();
    });
  },
);
