// Loaded before a program, so that flushes hand nothing over in it.
import { CoreWalWriter } from '@walstack/percore';
import { SegmentedWal } from '@walstack/segmented';
import { Wal } from '@walstack/wal';

SegmentedWal.prototype.flushSync = () => {};
for (const each of [SegmentedWal, Wal, CoreWalWriter]) each.prototype.flush = async () => {};
