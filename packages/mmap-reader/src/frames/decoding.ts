import { type DecodingOptions, KeyRing } from '@walstack/codec';
import { checkBoolean, checkInteger, invalidType, optionNames } from '@walstack/codec/internal';

/** The options for decoding the payloads of records. */
export type DecodingSettings = Pick<DecodingOptions, 'keyRing' | 'allowPlaintext' | 'maxPayloadBytes'>;

/** The names of the options for decoding. */
export const DECODING_OPTIONS = optionNames<DecodingSettings>({
  keyRing: true,
  allowPlaintext: true,
  maxPayloadBytes: true,
});

const PAYLOAD_BYTES_MAX = 1024 * 1024 * 1024;

/** Checks the options for decoding. @throws `TypeError`, `RangeError` with Node's codes */
export function checkDecoding({ keyRing, allowPlaintext, maxPayloadBytes }: DecodingSettings): DecodingSettings {
  if (keyRing !== undefined && !(keyRing instanceof KeyRing)) throw invalidType('keyRing', 'a KeyRing', keyRing);
  if (allowPlaintext !== undefined) checkBoolean('allowPlaintext', allowPlaintext);
  if (maxPayloadBytes !== undefined) checkInteger('maxPayloadBytes', maxPayloadBytes, 0, PAYLOAD_BYTES_MAX);
  return { keyRing, allowPlaintext, maxPayloadBytes };
}
