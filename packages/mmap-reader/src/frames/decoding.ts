import { checkBoolean, checkInteger, type DecodingOptions, invalidType, KeyRing, optionNames } from '@walstack/codec';

/** What the payloads of records are decoded with. */
export type DecodingSettings = Pick<DecodingOptions, 'keyRing' | 'allowPlaintext' | 'maxPayloadBytes'>;

/** The names of the options that say how records are decoded. */
export const DECODING_OPTIONS = optionNames<DecodingSettings>({
  keyRing: true,
  allowPlaintext: true,
  maxPayloadBytes: true,
});

const MOST_PAYLOAD_BYTES = 1024 * 1024 * 1024;

/** Checks how records are to be decoded. @throws `TypeError`, `RangeError` with Node's codes */
export function checkDecoding({ keyRing, allowPlaintext, maxPayloadBytes }: DecodingSettings): DecodingSettings {
  if (keyRing !== undefined && !(keyRing instanceof KeyRing)) throw invalidType('keyRing', 'a KeyRing', keyRing);
  if (allowPlaintext !== undefined) checkBoolean('allowPlaintext', allowPlaintext);
  if (maxPayloadBytes !== undefined) checkInteger('maxPayloadBytes', maxPayloadBytes, 0, MOST_PAYLOAD_BYTES);
  return { keyRing, allowPlaintext, maxPayloadBytes };
}
