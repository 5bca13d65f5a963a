import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';

/** What a machine is started with. */
export interface MachineSetup {
  readonly qemu: string;
  readonly kernel: string;
  readonly initramfs: string;
  /** Words for the kernel's command line, which the guest finds in its environment. */
  readonly words: Readonly<Record<string, string | number>>;
  /** A file for what the guest prints. */
  readonly console: string;
}

const MEBIBYTES = 1536;
const PROCESSORS = 2;

/** A guest that is emulated, with no disk but what it attaches itself. */
export class Machine {
  readonly #process: ChildProcess;
  /** Resolves when it has ended, whatever ended it. */
  readonly ended: Promise<unknown>;

  constructor({ qemu, kernel, initramfs, words, console }: MachineSetup) {
    const log = openSync(console, 'w');
    const settings = Object.entries(words).map(([name, value]) => `${name}=${value}`);
    const args = [
      ...['-machine', 'q35', '-accel', 'tcg,thread=multi', '-cpu', 'max'],
      ...['-smp', `${PROCESSORS}`, '-m', `${MEBIBYTES}`, '-nodefaults', '-display', 'none', '-no-reboot'],
      ...['-serial', 'stdio', '-kernel', kernel, '-initrd', initramfs],
      ...['-append', ['console=ttyS0', 'quiet', 'panic=-1', 'mitigations=off', ...settings].join(' ')],
      ...['-netdev', 'user,id=net', '-device', 'virtio-net-pci,netdev=net,romfile='],
    ];
    this.#process = spawn(qemu, args, { stdio: ['ignore', log, log] });
    closeSync(log);
    this.ended = once(this.#process, 'close').catch(() => {});
  }

  /** The power goes. */
  async cut(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.ended;
  }
}
