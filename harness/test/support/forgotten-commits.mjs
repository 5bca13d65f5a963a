// Loaded before a program, so that everything that was committed is forgotten in it.
import { PerCoreWalManager } from '@walstack/percore';

const open = PerCoreWalManager.open;
PerCoreWalManager.open = function openForgetfully(config) {
  const recover = (recovery) =>
    config.recover({ checkpoint: recovery.checkpoint, offsets: new Map(), entries: () => recovery.entries() });
  return open.call(this, { ...config, recover });
};
