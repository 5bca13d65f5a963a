import process from 'node:process';
import { loopDiskUnavailable } from '../disks/loop-disk.js';
import type { FileSystem } from './file-systems.js';
import { findKernel, type Kernel } from './guest/kernel.js';
import { isInstalled, run } from './run.js';

/** What guests are made of. */
export interface GuestParts {
  readonly qemu: string;
  readonly busybox: string;
  readonly kernel: Kernel;
}

const QEMU = 'qemu-system-x86_64';
const BUSYBOX = 'busybox';

/** What images need that is not here, each in a few words. */
export function missingForImages(fileSystems: readonly FileSystem[]): string[] {
  const missing = [];
  for (const type of fileSystems) {
    const reason = loopDiskUnavailable(type);
    if (reason !== undefined) missing.push(`${type} on a loop device, which needs Linux and root (${reason})`);
  }
  return missing;
}

/** What guests need that is not here, each in a few words, or what they are made of. */
export function findGuestParts(kernelRoot: string): GuestParts | string[] {
  const missing = [];
  if (process.arch !== 'x64') missing.push('an x86-64 processor');
  if (!isInstalled(QEMU)) missing.push(`${QEMU} (Debian: qemu-system-x86)`);
  if (!isInstalled(BUSYBOX)) missing.push('busybox, linked statically (Debian: busybox-static)');
  if (!isInstalled('cc')) missing.push('a C compiler');
  const kernel = findKernel(kernelRoot);
  if (kernel === undefined)
    missing.push(`a kernel with its modules under ${kernelRoot} (Debian: linux-image-cloud-amd64)`);
  if (kernel === undefined || missing.length > 0) return missing;
  return { qemu: QEMU, busybox: run('sh', '-c', `command -v ${BUSYBOX}`), kernel };
}
