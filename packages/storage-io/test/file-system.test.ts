import type * as Fs from 'node:fs';
import { tmpdir } from 'node:os';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { fileSystemOfPath } from '../src/backends/file-system.js';

/** What the table of mounts says in place of what is mounted here; `undefined` when it cannot be read. */
let mounted: string | undefined;

vi.mock('node:fs', async (original) => {
  const fs = await original<typeof Fs>();
  const readFileSync = (path: string, encoding: 'utf8'): string => {
    const text = fs.readFileSync(path, encoding);
    if (path !== '/proc/self/mountinfo') return text;
    if (mounted === undefined) throw new Error('it is hidden');
    return text.replaceAll(/ - .*/g, () => ` - ${mounted}`);
  };
  return { ...fs, readFileSync };
});

const found = (): ReturnType<typeof fileSystemOfPath> => fileSystemOfPath(tmpdir());

beforeEach(() => {
  mounted = 'ext4 /dev/sda1 rw';
});

describe.runIf(process.platform === 'linux')('the file system of a path', () => {
  // The list of docs/file-systems.md: what is not on it was not tried.
  it.each(['ext4', 'xfs'])('%s honours durable writes', (type) => {
    mounted = `${type} /dev/sda1 rw`;
    expect(found()).toEqual({ type, durableWrites: true });
  });

  it.each([
    ...[
      'btrfs',
      'bcachefs',
      'zfs',
      'f2fs',
      'jfs',
      'ext2',
      'ext3',
      'vfat',
      'exfat',
      'ntfs3',
      'nilfs2',
      'erofs',
      'ext5',
      '',
    ],
    ...['fuse', 'fuse.sshfs', 'fuse.xfs', 'fuseblk', 'nfs', 'nfs4', 'cifs', 'smb3', '9p', 'virtiofs', 'ceph', 'ocfs2'],
    ...['lustre', 'glusterfs', 'tmpfs', 'ramfs', 'overlay', 'aufs', 'ecryptfs'],
  ])('%s was not shown to honour durable writes', (type) => {
    mounted = `${type} /dev/sda1 rw`;
    expect(found()).toMatchObject({ type, durableWrites: false });
  });

  it.each([
    ['fuse.sshfs host:/ rw', 'the program behind it'],
    ['nfs4 host:/ rw', 'a network file system'],
    ['tmpfs tmpfs rw', 'nothing survives'],
    ['overlay overlay rw,upperdir=/none,volatile', 'volatile'],
    ['ext4 /dev/sda1 rw,nobarrier', 'without barriers'],
    ['ext4 /dev/sda1 rw,barrier=0', 'without barriers'],
  ])('%s has a word of caution', (line, caution) => {
    mounted = line;
    expect(found()?.caution).toContain(caution);
  });

  it.each(['ext4 /dev/sda1 rw,barrier=1', 'btrfs /dev/sda1 rw'])('%s has none', (line) => {
    mounted = line;
    expect(found()?.caution).toBe(undefined);
  });

  it('is not known where the table of mounts cannot be read', () => {
    mounted = undefined;
    expect(found()).toBe(undefined);
  });
});
