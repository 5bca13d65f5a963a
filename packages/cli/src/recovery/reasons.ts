import type { WalError } from '@walstack/codec';

/** What the reason of a refusal means, by `reason` of the error. */
const BY_REASON: Readonly<Record<string, string>> = {
  'missing-segment': 'A segment file between others is missing: it was removed, or not copied with the rest.',
  'other-log': 'A file here belongs to another log: files of two logs were mixed.',
  'other-segment': 'A segment is not the one that its successor continues: it is from another copy of the log.',
  'duplicated-segment': 'Two files have the same segment number: one is a copy under another name.',
  'renamed-segment': 'A segment file has a name that its header contradicts: it was renamed.',
  'impossible-chain': 'The headers of two neighbouring segments contradict each other.',
  header:
    'The header of a segment cannot be read. A segment gets its name only after its header is durable, so no crash leaves this.',
  'impossible-fields':
    'A frame has a right checksum, and fields that cannot be there: it was forged, or written by a defect.',
  salvage: 'A salvage was begun and has not ended.',
  'salvage-unfinished': 'A salvage was begun and has not ended: repair continues it.',
  'no-file': 'A directory has the name of a file of the log.',
  'not-a-directory': 'It is a file where a directory is needed.',
  'not-a-file': 'It is a directory where a file is needed.',
  'other-core': 'The log belongs to another core.',
  'missing-core':
    'The log of a core is missing, and nothing says that the core was retired: its directory was removed, or not copied.',
  'missing-manifest': 'The manifest of the per-core log is missing, although its logs show that there was one.',
  checkpoint:
    'The log of a core does not reach the checkpoint of the manifest: it is older than the manifest, or lost its end.',
  checksum: 'The checksum of a small file of the log is wrong: it is damaged, or was written by something else.',
  json: 'A small file of the log has a right checksum and no JSON: a defect has written it.',
  entry: 'A record of a core is no entry of a per-core log: something else has appended it.',
  order: 'An entry of a core is out of order: something else has appended it.',
  'long-tail':
    'More bytes behind the last frame cannot be read than a crash can tear: something that was durable is damaged.',
  'impossible-length':
    'Behind the last frame is a length that no frame has: something that was durable is damaged, or this is no file of frames.',
  'taken-name': 'A name that the log needs for a file is taken by something else: move it away.',
  'salvage-name': 'A name that a salvage needs for a file is taken by a directory: move it away.',
  plaintext: 'Something is not encrypted, and nothing proves that it is older than the encryption of the log.',
  'missing-key': 'The log is encrypted, and the key that its newest segment names was not given: use --key-file.',
  'wrong-key': 'The key with this id does not decrypt the log: it is another key, or the file was changed.',
  permissions: 'Others have permissions on the key file: chmod 600.',
  'key-file': 'The file of keys is not valid.',
  'missing-key-file': 'There is no key file at this path: the log was not looked at.',
};

const BY_CODE: Readonly<Record<string, string>> = {
  WAL_CORRUPT:
    'Something that was acknowledged is lost or damaged. No crash causes this; a disk, a person or a program does.',
  WAL_BAD_HEADER: 'This is no log.',
  WAL_NOT_FOUND: 'There is no log here.',
  WAL_FOREIGN_DIRECTORY: 'The directory has other files, and no log.',
  WAL_UNSUPPORTED_VERSION:
    'A later version has written this log, or a part of it: use that version. Nothing is damaged.',
  WAL_BAD_KEY: 'A key is missing or wrong. Nothing is damaged.',
  WAL_IO_FAILED: 'The operating system refused to read. It may be readable the next time.',
  WAL_STATE: 'The directory is in a state that readers wait for.',
  WAL_TRUNCATED: 'It was removed from the log.',
};

const BY_STATE: Readonly<Record<string, string>> = {
  'backup-decided':
    'A backup was decided and not carried out: opening it for writing does that, and so does the next backup into it.',
  'backup-begun': 'A first backup was begun here and has not ended: repeat it.',
};

/** Why a log was refused, in a sentence or two. */
export function reasonText({ reason, code, state }: WalError): string {
  const byState = state === undefined ? undefined : BY_STATE[state];
  if (byState !== undefined) return byState;
  const byReason = reason === undefined ? undefined : BY_REASON[reason];
  if (byReason !== undefined) return byReason;
  if (reason?.startsWith('hole') === true) return lostBefore(reason);
  return BY_CODE[code] ?? '';
}

function lostBefore(reason: string): string {
  const proofs: Record<string, string> = {
    'hole-before-hold': 'a hold is ahead of it',
    'hole-before-checkpoint': 'the checkpoint is at or behind it',
    'hole-before-successor': 'a later segment begins behind it',
  };
  return `A record that was acknowledged cannot be read: ${proofs[reason] ?? 'a frame proves that it was durable'}.`;
}
