import type { Defect } from '../defect.js';

const CODEC = 'packages/codec/src';
const READER = 'packages/mmap-reader/src';
const SEGMENTED = 'packages/segmented/src';

/** Defects in what encryption keeps secret, and in what is taken for genuine. */
export const ENCRYPTION_DEFECTS: readonly Defect[] = [
  {
    name: 'nonce-reused-after-a-crash',
    scenario: 'nonces-never-repeat',
    breaks: 'Each segment has a key of its own, so that an LSN that is given out again does not use a nonce again.',
    file: `${CODEC}/segment-cipher.ts`,
    find: "hkdfSync('sha256', master, header.segmentId, info, 32)",
    replace: "hkdfSync('sha256', master, header.logId, INFO, 32)",
  },
  {
    name: 'header-not-authenticated',
    test: 'packages/codec/test/encryption.test.ts',
    breaks: 'A segment whose header was tampered with opens nothing.',
    file: `${CODEC}/segment-cipher.ts`,
    find: 'info.set(authenticatedBytes(header), INFO.length);',
    replace: '',
  },
  {
    name: 'scope-not-authenticated',
    test: 'packages/codec/test/encryption.test.ts',
    breaks: 'The header and the scope of a record are authenticated with what it holds.',
    file: `${CODEC}/segment-cipher.ts`,
    find: 'cipher.setAAD(bytes.subarray(offset + FRAME_HEADER_BYTES, body));',
    replace: 'cipher.setAAD(bytes.subarray(offset + FRAME_HEADER_BYTES, offset + MARK_FRAME_BYTES));',
    also: {
      file: `${CODEC}/segment-cipher.ts`,
      find: 'decipher.setAAD(head);',
      replace: 'decipher.setAAD(head.subarray(0, MARK_FRAME_BYTES - FRAME_HEADER_BYTES));',
    },
  },
  {
    name: 'tag-not-checked',
    test: 'packages/segmented/test/encryption.test.ts',
    breaks: 'Nothing is given out that was not authenticated.',
    file: `${CODEC}/segment-cipher.ts`,
    find: `    } catch {
      return undefined;
    }`,
    replace: '    } catch {}',
  },
  {
    name: 'downgrade-accepted',
    test: 'packages/codec/test/encryption.test.ts',
    breaks: 'Where there is a key ring, a record that is not encrypted is not taken in a segment that is.',
    file: `${CODEC}/payload-decoder.ts`,
    find: '(header.encrypted || options.predatesEncryption !== true) &&',
    replace: 'options.predatesEncryption !== true &&',
  },
  {
    name: 'plain-segment-accepted',
    test: 'packages/segmented/test/encryption.test.ts',
    breaks: 'Where there is a key ring, a segment that is not encrypted is not taken in place of one that is.',
    file: `${SEGMENTED}/keys.ts`,
    find: 'if (!allowPlaintext) refusePlaintext(kept);',
    replace: '',
  },
  {
    name: 'plain-segment-read',
    test: 'packages/segmented/test/encryption.test.ts',
    breaks: 'Who only reads a log does not take a segment that is not encrypted in place of one that is, either.',
    file: `${SEGMENTED}/log-reader.ts`,
    find: 'predatesEncryption: predates',
    replace: 'predatesEncryption: true',
  },
  {
    name: 'oldest-segment-in-the-clear',
    test: 'packages/segmented/test/encryption-taken-off.test.ts',
    breaks: 'What stands in front of encrypted segments is taken in the clear only where they say that it was.',
    file: `${SEGMENTED}/keys.ts`,
    find: '!header.encrypted && nextLsn > encryptedFrom',
    replace: '!header.encrypted && encryptedFrom === ALWAYS_ENCRYPTED && newest?.encrypted !== true',
  },
  {
    name: 'beginning-of-encryption-not-proven',
    test: 'packages/segmented/test/encryption-taken-off.test.ts',
    breaks: 'What a header says of the log before it counts once its key has opened a record of the segment.',
    file: 'packages/mmap-reader/src/encrypted-from.ts',
    find: 'if (yield* opensRecord(io, link, ring, false)) return link.header.encryptedFrom;',
    replace: 'if (link.header.encrypted) return link.header.encryptedFrom;',
  },
  {
    name: 'beginning-of-encryption-kept-for-ever',
    test: 'packages/segmented/test/encryption-taken-off.test.ts',
    breaks: 'Where no record in the clear is left, none is taken from then on.',
    file: `${SEGMENTED}/keys.ts`,
    find: 'if (oldest === undefined || oldest.header.encrypted) return ALWAYS_ENCRYPTED;',
    replace: 'if (oldest === undefined) return ALWAYS_ENCRYPTED;',
  },
  {
    name: 'key-looked-at-too-late',
    test: 'packages/segmented/test/encryption.test.ts',
    breaks: 'A log without the key of its newest records is refused before anything is changed.',
    file: `${SEGMENTED}/recovery.ts`,
    find: '  const encryptedFrom = yield* checkKeys(world.io, settings, judgement.segments, blocking);\n',
    replace: '  const encryptedFrom = undefined;\n',
  },
  {
    name: 'empty-segment-goes-on-plain',
    test: 'packages/segmented/test/encryption.test.ts',
    breaks:
      'A ring that is set before the first append replaces the empty segment, and nothing is written in the clear.',
    file: `${SEGMENTED}/segment-writer.ts`,
    find: 'if (isEmpty(active)) return this.#isCurrent(active) ? active : this.#plan();',
    replace: 'if (isEmpty(active)) return active;',
  },
  {
    name: 'keys-compared-by-number',
    test: 'packages/segmented/test/encryption.test.ts',
    breaks: 'A ring that replaces another one has its own key of the same number used, and not that of the other one.',
    file: `${SEGMENTED}/segment-writer.ts`,
    find: 'keyRing === this.#keyRing && header.keyId === currentKeyOf(keyRing)',
    replace: 'header.keyId === currentKeyOf(this.#keyRing)',
  },
  {
    name: 'ring-with-another-key-taken',
    test: 'packages/segmented/test/encryption.test.ts',
    breaks: 'A log is not gone on with under a ring that has another key in the place of that of its newest records.',
    file: `${SEGMENTED}/segmented-wal.ts`,
    find: '    if (newest !== undefined) refuseOtherKey(newest.keyId, ring, this.#writer.keyRing);\n',
    replace: '',
  },
  {
    name: 'key-service-waited-for-without-end',
    test: 'packages/segmented/test/silent-key-service.test.ts',
    breaks: 'A reading that is closed or given up waits for no key service.',
    file: `${READER}/load-keys.ts`,
    find: "    else signal?.addEventListener('abort', abort);\n",
    replace: '',
  },
  {
    name: 'follower-keeps-its-first-ring',
    test: 'packages/wal/test/encryption.test.ts',
    breaks: 'A follower that began before the log got its ring reads what is encrypted with it.',
    file: `${SEGMENTED}/segmented-wal.ts`,
    find: '    const keyRing = (): KeyRing | undefined => this.encryptionRing;',
    replace: '    const keyRing = this.encryptionRing;',
  },
  {
    name: 'replaced-segment-removed-before-names',
    scenario: 'keys-before-the-first-append',
    breaks: 'The name of a segment is durable before the empty one that it replaces is removed.',
    file: `${SEGMENTED}/segment-writer.ts`,
    find: '    yield* this.#name(next);\n    if (old !== undefined && isEmpty(old)) yield* this.#removeReplaced(old);',
    replace:
      '    if (old !== undefined && isEmpty(old)) yield* this.#removeReplaced(old);\n    yield* this.#name(next);',
  },
  {
    name: 'decompression-without-limit',
    test: 'packages/codec/test/compression.test.ts',
    breaks: 'Decompressing takes memory for no more than the longest payload.',
    file: `${CODEC}/compression.ts`,
    find: 'const options = { maxOutputLength: Math.max(1, limit) };',
    replace: 'const options = { maxOutputLength: 2 ** 31 };',
  },
];
