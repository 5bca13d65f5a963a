// Loaded before a program, so that salvage says nothing of what is lost in it.
import { SegmentedWal } from '@walstack/segmented';

const { get } = Object.getOwnPropertyDescriptor(SegmentedWal.prototype, 'recovery');
Object.defineProperty(SegmentedWal.prototype, 'recovery', {
  get() {
    return { ...get.call(this), salvage: undefined };
  },
});
