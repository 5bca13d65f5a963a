import { type DecodingOptions, KeyRing } from '@walstack/codec';
import { checkBoolean, checkInteger, invalidType, optionNames, PAYLOAD_BYTES_DEFAULT } from '@walstack/codec/internal';

/** The options for decoding the payloads of records. */
export type DecodingSettings = Pick<DecodingOptions, 'keyRing' | 'allowPlaintext' | 'maxPayloadBytes'>;

/** The names of the options for decoding. */
export const DECODING_OPTIONS = optionNames<DecodingSettings>({
  keyRing: true,
  allowPlaintext: true,
  maxPayloadBytes: true,
});

/** The most that `maxPayloadBytes` can be. */
export const PAYLOAD_BYTES_MAX = 1024 * 1024 * 1024;

/** The options for decoding, checked, with their defaults. */
export interface CheckedDecoding {
  readonly keyRing: KeyRing | undefined;
  readonly allowPlaintext: boolean;
  readonly maxPayloadBytes: number;
}

/** Checks the options for decoding. @throws `TypeError`, `RangeError` with Node's codes */
export function checkDecoding(options: DecodingSettings): CheckedDecoding {
  const { keyRing, allowPlaintext = false, maxPayloadBytes } = options;
  if (keyRing !== undefined && !(keyRing instanceof KeyRing)) throw invalidType('keyRing', 'a KeyRing', keyRing);
  return {
    keyRing,
    allowPlaintext: checkBoolean('allowPlaintext', allowPlaintext),
    maxPayloadBytes: checkMaxPayloadBytes(maxPayloadBytes),
  };
}

/** Checks the option for the longest payload; 64 MiB without it. @throws `TypeError`, `RangeError` with Node's codes */
export function checkMaxPayloadBytes(value: number = PAYLOAD_BYTES_DEFAULT): number {
  return checkInteger('maxPayloadBytes', value, 0, PAYLOAD_BYTES_MAX);
}
