/**
 * What the other packages of this repository share, and users do not need: checks of arguments, tables of options, framed JSON,
 * integers, checksums of prefixes, names of the files of a backup. It may change in any version.
 *
 * @packageDocumentation
 */

export {
  checkBoolean,
  checkedLength,
  checkInteger,
  checkMemory,
  checkOneOf,
  checkOptions,
  checkPath,
  checkPathText,
  checkText,
  checkUnsigned,
  invalidMemory,
  invalidType,
  lengthOf,
  notConstructible,
  optionNames,
  outOfRange,
} from './arguments/checks.js';
export { inspected } from './arguments/inspection.js';
export {
  type CheckedOptions,
  checkAll,
  namesIn,
  type OptionTable,
  optional,
} from './arguments/option-table.js';
export { type Beginning, settled, withoutUnsettled } from './checkpoint.js';
export { crc32cCombine, crc32cOfPrefixes } from './crc32c.js';
export { findDurabilityProof } from './durability-proof.js';
export { parseStagedName, stagedName } from './file-names.js';
export {
  BEGUN_NUMBER,
  checkFollowerName,
  decodeFollowerFile,
  decodeFollowerSlots,
  encodeFollowerFile,
  encodeFollowerSlot,
  FOLLOWER_FILE_BYTES,
  FOLLOWER_SLOT_BYTES,
  type FollowerFile,
  type FollowerSlot,
  followerFileNames,
  type NewFollowerFile,
  type NumberedSlot,
  parseFollowerFileName,
  type StoredPosition,
  storedSlot,
} from './follower-file.js';
export { decodeFramedJson, encodeFramedJson } from './framed-json.js';
export { checkBlockBytes } from './frames-in-blocks.js';
export { getUint64, setUint64 } from './integers.js';
export { checkLsn } from './lsn.js';
export { PAYLOAD_BYTES_DEFAULT } from './payload/payload-decoder.js';
export { HOLE_RECORDS_MAX, HoleReason, sessionOf, writeHole, writeSessionMark } from './record-layout.js';
