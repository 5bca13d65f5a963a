// Types and values by require(), which `moduleResolution: nodenext` allows for ES modules.
import { available } from '@walstack/native';
import { SegmentedWal as Log, type SegmentedWal } from '@walstack/segmented';

const isLog = (value: unknown): value is SegmentedWal => value instanceof Log;

console.log(JSON.stringify({ available, texts: [isLog(undefined) ? 'three' : 'one', 'two'] }));
