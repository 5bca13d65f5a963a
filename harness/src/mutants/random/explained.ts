/** A change that no check has to notice, and why. */
interface Explanation {
  readonly file: string;
  /** As `pnpm mutants --random` prints it, behind the place. */
  readonly change: string;
  readonly because: string;
}

/** What survived, was read, and changes nothing that is promised. */
export const EXPLAINED: readonly Explanation[] = [
  {
    file: 'packages/codec/src/payload/payload-decoder.ts',
    change: '`<` becomes `>=` in `return metaLength < payload.length`',
    because: 'Meta and payload are in memory of their own either way: only which of the two is copied differs.',
  },
  {
    file: 'packages/mmap-reader/src/parallel-scan/scan-worker.ts',
    change: '`scan(job);` becomes `;` in `scan(job);`',
    because:
      'The worker answers that it has nothing, and the thread that asked scans the rest of the segment itself: slower.',
  },
  {
    file: 'packages/wal/src/opentelemetry.ts',
    change:
      '`this.#countOpenings(); this.#countCommits();` becomes `this.#countCommits(); this.#countOpenings();` in `this.#countOpenings();`',
    because:
      'Each creates instruments and subscribes to a channel of its own, and neither uses what the other has made.',
  },
  {
    file: 'packages/percore/src/commits/commit-ledger.ts',
    change:
      '`>=` becomes `>` in `const isSince = (lsn: number, before: number): boolean => lsn >= before && lsn !== Number.POSITIVE_INFINITY;`',
    because: 'What is forgotten was committed before a barrier, and the LSN of a barrier is no LSN of a commit.',
  },
  {
    file: 'packages/segmented/src/write/full-disk.ts',
    change: '`this.#noSpace = error;` becomes `;` in `this.#noSpace = error;`',
    because: 'The error of the attempt before is kept, which says the same: there is no room for the segment.',
  },
  {
    file: 'packages/segmented/src/write/roll.ts',
    change:
      '`chain.sealed.push(sealed); this.#announce(sealed, next);` becomes `this.#announce(sealed, next); chain.sealed.push(sealed);` in `chain.sealed.push(sealed);`',
    because: 'What is said on a channel is published when the step has ended, and both are in one step.',
  },
  {
    file: 'packages/wal/src/commit/background-flush.ts',
    change: '`this.#underWay` becomes `false` in `if (this.#underWay) this.#flushAgain = true;`',
    because: 'The log itself carries out one flush at a time, and all that are asked for meanwhile share the next one.',
  },
  {
    file: 'packages/codec/src/javascript/crc32c.ts',
    change: '`found !== undefined` becomes `false` in `if (found !== undefined) return found;`',
    because: 'The same table is made once more: slower.',
  },
  {
    file: 'packages/storage-io/src/backends/node-fs/sync-fs.ts',
    change: "`process.platform === 'win32'` becomes `false` in `if (process.platform === 'win32') return;`",
    because: 'The checks run on another platform.',
  },
  {
    file: 'packages/wal/src/commit/waiters.ts',
    change:
      '`<` becomes `<=` in `const isBefore = (a: Waiter, b: Waiter): boolean => a.lsn < b.lsn || (a.lsn === b.lsn && a.turn < b.turn);` (2)',
    because: 'No two waiters have the same turn.',
  },
  {
    file: 'packages/percore/src/manager/checkpoint-coordinator.ts',
    change: '`this.#manifestMayBeLost = false;` becomes `;` in `this.#manifestMayBeLost = false;`',
    because: 'The same manifest is written once more before segments are removed: slower.',
  },
  {
    file: 'packages/wal/src/follow/log-activity.ts',
    change:
      "`signal.removeEventListener('abort', wake); this.#waiting.delete(wake);` becomes `this.#waiting.delete(wake); signal.removeEventListener('abort', wake);` in `signal.removeEventListener('abort', wake);`",
    because: 'Neither of the two depends on the other, and no listener runs in between.',
  },
  {
    file: 'packages/wal/src/follow/log-activity.ts',
    change:
      "`this.#waiting.add(wake); signal.addEventListener('abort', wake);` becomes `signal.addEventListener('abort', wake); this.#waiting.add(wake);` in `this.#waiting.add(wake);`",
    because: 'Neither of the two depends on the other, and no listener runs in between.',
  },
  {
    file: 'packages/wal/src/opentelemetry.ts',
    change:
      '`this.#on(channels.open, ({ directory, durationMs }) => { opens.add(1, { [DIRECTORY]: directory }); seconds.record(dur...` becomes `this.#on(channels.recover, ({ directory, report }) => { records.add(report.records, { [DIRECTORY]: directory }); cut....` in `this.#on(channels.open, ({ directory, durationMs }) => {`',
    because: 'Each subscribes to a channel of its own.',
  },
  {
    file: 'packages/percore/src/recovery/finalize-recovery.ts',
    change: '`false` becomes `true` in `if (manifest === NO_MANIFEST && !needed) return false;`',
    because: 'Without a manifest the list of cores is written behind it, and what is written then is not postponed.',
  },
  {
    file: 'packages/segmented/src/recovery/readonly-log.ts',
    change:
      '`before !== undefined && sameFinding(before, error)` becomes `false` in `if (before !== undefined && sameFinding(before, error)) throw error;`',
    because: 'The same damage is found a hundred times, instead of twice, before it is reported: slower.',
  },
  {
    file: 'packages/segmented/src/write/allocation/segment-allocator.ts',
    change: '`!this.#found.has(name)` becomes `true` in `if (!this.#found.has(name)) return name;`',
    because:
      'Free files that were there at the opening are taken in the order of their names, before a file that was freed since gets the name of one of them.',
  },
  {
    file: 'packages/wal/src/commit/group-commit.ts',
    change: '`true` becomes `false` in `this.#scheduled = true;`',
    because:
      'Each commit of a turn asks for a later turn: the first of these begins the group, and the others find nothing to do.',
  },
  {
    file: 'packages/storage-io/src/backends/io-uring/io-uring-executor.ts',
    change:
      '`this.#operations.unsubmitted` becomes `true` in `if (this.#operations.unsubmitted) this.#scheduleFlush();`',
    because: 'A later turn of the event loop submits nothing: slower.',
  },
  {
    file: 'packages/storage-io/src/backends/io-uring/completions-to-results.ts',
    change: '`this.#failedWith !== undefined` becomes `false` in `if (this.#failedWith !== undefined) return;`',
    because: 'Each of its callers does nothing when the ring has failed before.',
  },
  {
    file: 'packages/wal/src/follow/reading.ts',
    change:
      "`!WalError.is(error, 'WAL_CLOSED')` becomes `false` in `if (!WalError.is(error, 'WAL_CLOSED')) throw error;`",
    because: 'An error that comes when the following is over anyway: only which of the two is told differs.',
  },
  {
    file: 'packages/mmap-reader/src/frames/segment-scanner.ts',
    change: '`-` becomes `+` in `const into = this.#buffer.subarray(this.#filled, until - base);`',
    because:
      'It reads as far as the buffer goes. What is behind the limit is not stepped to: readers stop at an LSN, and padding that is cut by the end of the buffer is read again with what follows.',
  },
  {
    file: 'packages/mmap-reader/src/parallel-scan/scan-ahead.ts',
    change: '`this.#file ??= map(this.#link);` becomes `;` in `this.#file ??= map(this.#link);`',
    because:
      'The file is never mapped, so that the answers of workers are not used and the thread scans by itself: slower.',
  },
  {
    file: 'packages/mmap-reader/src/parallel-scan/scan-ahead.ts',
    change: '`WalError.is(error)` becomes `true` in `if (WalError.is(error)) return undefined;`',
    because:
      'Nothing else is thrown there but by a mistake in these sources; the segment is then read without its worker.',
  },
  {
    file: 'packages/storage-io/src/portable/file-scanner.ts',
    change:
      '`||` becomes `&&` in `if (bytes <= left || bytes > frameBytesMax || position + bytes > limit) return false;`',
    because:
      'A frame that is damaged, too long or cut off is refused after it was read: more memory, as far as the file goes.',
  },
  {
    file: 'packages/storage-io/src/portable/file-scanner.ts',
    change:
      '`||` becomes `&&` in `if (bytes <= left || bytes > frameBytesMax || position + bytes > limit) return false;` (2)',
    because:
      'A frame that is damaged, too long or cut off is refused after it was read: more memory, as far as the file goes.',
  },
  {
    file: 'packages/percore/src/manager/local-core.ts',
    change: '`barrier === undefined` becomes `false` in `if (barrier === undefined) {`',
    because: 'A barrier that was just appended is known: only a mistake in these sources leaves none.',
  },
  {
    file: 'packages/segmented/src/write/allocation/segment-allocator.ts',
    change: '`throw error;` becomes `;` in `throw error;`',
    because: 'Nothing else is thrown there but by a mistake in these sources; the file is then removed.',
  },
  {
    file: 'packages/segmented/src/write/allocation/segment-allocator.ts',
    change:
      '`<=` becomes `<` in `if (segment.file === undefined || segment.preallocatedEnd > start || end <= start) return;`',
    because: 'Where there is nothing to prepare, no zeros are written to prepare it.',
  },
  {
    file: 'packages/percore/src/core/core-directory.ts',
    change: '`-` becomes `+` in `.sort((a, b) => a - b);`',
    because: 'Logs are opened in another order, and sorted when they are open.',
  },
  {
    file: 'packages/mmap-reader/src/walk/segment-walk.ts',
    change: '`this.leave();` becomes `;` in `this.leave();`',
    because:
      'A segment is entered only where none is being read: the one before was left at its end, or with the error.',
  },
  {
    file: 'packages/mmap-reader/src/records/record-cursor.ts',
    change: '`decoder.transforms(frames.flags)` becomes `true` in `if (decoder.transforms(frames.flags)) {`',
    because: 'Meta and payload that are neither compressed nor encrypted are copied, and stay the same: slower.',
  },
  {
    file: 'packages/segmented/src/backup/backup.ts',
    change: '`&&` becomes `||` in `if (this.#links && (yield* this.#has(stage, listed(segment)))) {`',
    because: 'The file that was linked is that of the segment: what a backup has is not removed or reused beside it.',
  },
  {
    file: 'packages/segmented/src/salvage/holes/next-frame.ts',
    change: '`false` becomes `true` in `if (!isPossible(search, offset, record)) return false;`',
    because: 'Bytes that are no possible frame have no valid checksum either: more of them are computed.',
  },
  {
    file: 'packages/percore/src/recovery/finalize-recovery.ts',
    change: '`false` becomes `true` in `toAdd.push({ coreId, log, state, takesPart: known?.takesPart ?? false });`',
    because: 'The log of a new core has no entry, so that no epoch waits for it before its first barrier either way.',
  },
  {
    file: 'packages/storage-io/src/backends/io-uring/io-uring-executor.ts',
    change:
      '`this.#resubmitTimer !== undefined || this.#operations.inKernel > 0` becomes `false` in `if (this.#resubmitTimer !== undefined || this.#operations.inKernel > 0) return;`',
    because: 'A timer more, which submits what waits, or finds that a completion has submitted it.',
  },
  {
    file: 'packages/percore/src/recovery/per-core-recovery.ts',
    change:
      "`checkOneOf('from', from, ['checkpoint', 'first']); this.#throwIfClosed();` becomes `this.#throwIfClosed(); checkOneOf('from', from, ['checkpoint', 'first']);` in `checkOneOf('from', from, ['checkpoint', 'first']);`",
    because: 'Of a wrong argument for a recovery that was closed, either is the reason why the call is refused.',
  },
  {
    file: 'packages/wal/src/commit/group-commit.ts',
    change:
      '`this.#isGroupLarge() && this.#needsGroup()` becomes `false` in `if (this.#isGroupLarge() && this.#needsGroup()) this.#beginGroup();`',
    because: 'A large group begins when the turn of the event loop ends: slower.',
  },
  {
    file: 'packages/segmented/src/write/allocation/blocks.ts',
    change: '`>=` becomes `>` in `if (segment.file === undefined || from >= limit) return true;`',
    because: 'A reservation of no bytes changes nothing.',
  },
  {
    file: 'packages/mmap-reader/src/directory/directory-reader.ts',
    change:
      '`this.#segments.close(); this.#onClose();` becomes `this.#onClose(); this.#segments.close();` in `this.#segments.close();`',
    because: 'Neither of the two uses what the other one ends.',
  },
  {
    file: 'packages/mmap-reader/src/walk/segment-walk.ts',
    change:
      '`!decoder.transforms(0)` becomes `decoder.transforms(0)` in `this.#takesPlain = this.#stored === undefined && this.#matches === undefined && !decoder.transforms(0);`',
    because:
      'Plain records are read field by field: slower. Where plaintext is refused, so is the first record of a segment, before the shorter way is taken.',
  },
  {
    file: 'packages/mmap-reader/src/frames/frames.ts',
    change: '`end = at + frameBytes;` becomes `;` in `end = at + frameBytes;`',
    because: 'Runs are not copied as a whole, and each record by itself: slower.',
  },
  {
    file: 'packages/wal/src/follow/named/read-points.ts',
    change:
      '`(this.#points[0]?.lsn ?? lsn) < lsn` becomes `true` in `if ((this.#points[0]?.lsn ?? lsn) < lsn) this.#points = this.#points.filter((point) => point.lsn >= lsn);`',
    because: 'A filter that leaves nothing out: slower.',
  },
  {
    file: 'packages/percore/src/recovery/recovery-watch.ts',
    change: '`bytes < totalBytes` becomes `true` in `if (bytes < totalBytes) this.#report(call);`',
    because: 'One report more, when the log of a core has been opened.',
  },
  {
    file: 'packages/percore/src/recovery/recovery-watch.ts',
    change:
      '`!this.#sizes.has(coreId)` becomes `true` in `if (!this.#sizes.has(coreId)) this.#sizes.set(coreId, totalBytes);`',
    because:
      'The size of the log of a core is what its opening says, and not what was found before: bytes that are prepared and unused.',
  },
  {
    file: 'packages/mmap-reader/src/walk/piece-reader.ts',
    change: '`watch !== undefined` becomes `false` in `if (watch !== undefined) watch.beforeItem();` (3)',
    because:
      'Before the next item, and before more is read, the signal is looked at as well: nothing more is returned.',
  },
  {
    file: 'packages/wal/src/follow/reading.ts',
    change: '`false` becomes `true` in `#isReading = false;`',
    because: 'The first request always reads on, as nothing is in memory before; behind that the value is set.',
  },
  {
    file: 'packages/codec/src/arguments/checks.ts',
    change:
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the text of a source.
      '`length !== undefined` becomes `true` in `if (length !== undefined) checkInteger(`${name}.length`, value.length, length, length);`',
    because: 'No number is below `undefined` or above it.',
  },
  {
    file: 'packages/segmented/src/recovery/readonly-log.ts',
    change:
      '`===` becomes `!==` in `a.code === b.code && a.path === b.path && a.offset === b.offset && a.lsn === b.lsn && a.reason === b.reason;` (2)',
    because:
      'The files of two findings with the same LSN are the same, so that damage is only looked at a few times more.',
  },
  {
    file: 'packages/storage-io/src/portable/file-scanner.ts',
    change: '`>` becomes `>=` in `if (this.#count > 0) return true;`',
    because: 'The caller finds no frame, and asks for more.',
  },
  {
    file: 'packages/segmented/src/retention/checkpoint-store.ts',
    change: '`this.#isDurable = isDurable;` becomes `;` in `this.#isDurable = isDurable;`',
    because: 'The file is made durable once more.',
  },
];
