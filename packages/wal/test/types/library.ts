// The declarations of the package themselves: compiled with `skipLibCheck: false`, and with no more of `lib` than they need.
import { Wal } from '@walstack/wal';

export async function lengths(): Promise<number[]> {
  await using wal = await Wal.open('log');
  const found: number[] = [];
  for await (const { payload } of wal.follow('first')) found.push(payload.length);
  return found;
}
