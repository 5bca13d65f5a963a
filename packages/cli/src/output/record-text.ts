import type { WalRecord } from '@walstack/segmented';
import { jsonLine, shownInLine } from './output.js';
import { timeText } from './units.js';

/** How records are printed. */
export type RecordFormat = 'line' | 'json' | 'utf8' | 'hex';

export const RECORD_FORMATS: readonly RecordFormat[] = ['line', 'json', 'utf8', 'hex'];

const LINE_FEED = Buffer.from('\n');
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The text of bytes, or nothing where they are no UTF-8. */
function textOf(bytes: Uint8Array): string | undefined {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return undefined;
  }
}

const buffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Text for a terminal: printable, and not longer than `limit` characters. */
export function printable(bytes: Uint8Array, limit: number): string {
  const text = buffer(bytes.subarray(0, limit * 4)).toString();
  const short = [...text].slice(0, limit).join('');
  const shown = shownInLine(short);
  return short.length < text.length || bytes.length > limit * 4 ? `${shown} …` : shown;
}

/** A record as one object of JSON: payloads that are UTF-8 as `payload`, others as `payloadBase64`. */
function recordJson({ lsn, type, meta, payload, scope, timestampMs }: WalRecord): Record<string, unknown> {
  const text = textOf(payload);
  return {
    lsn,
    type,
    time: timeText(timestampMs),
    ...(scope === undefined
      ? {}
      : {
          scope: {
            tenantId: String(scope.tenantId),
            databaseId: String(scope.databaseId),
            vshardId: scope.vshardId,
          },
        }),
    ...(meta.length === 0 ? {} : { metaBase64: buffer(meta).toString('base64') }),
    ...(text === undefined ? { payloadBase64: buffer(payload).toString('base64') } : { payload: text }),
  };
}

/** Bytes in rows of sixteen: offset, hexadecimal digits, printable characters. */
export function hexLines(bytes: Uint8Array, at = 0): string[] {
  const rows: string[] = [];
  for (let row = 0; row < bytes.length; row += 16) {
    const part = bytes.subarray(row, row + 16);
    const digits = Array.from(part, (byte) => byte.toString(16).padStart(2, '0'));
    const halves = `${digits.slice(0, 8).join(' ').padEnd(23)}  ${digits.slice(8).join(' ').padEnd(23)}`;
    const text = Array.from(part, (byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('');
    rows.push(`${(at + row).toString(16).padStart(8, '0')}  ${halves}  ${text}`);
  }
  return rows;
}

const LINE_CHARACTERS = 160;

/** A record in a format, with its line feed. */
export function recordText(record: WalRecord, format: RecordFormat): Uint8Array | string {
  const { lsn, type, payload, timestampMs } = record;
  if (format === 'json') return `${jsonLine(recordJson(record))}\n`;
  if (format === 'utf8') return Buffer.concat([payload, LINE_FEED]);
  const head = `${String(lsn).padStart(10)}  ${timeText(timestampMs)}  ${String(type).padStart(3)}`;
  if (format === 'line') return `${head}  ${printable(payload, LINE_CHARACTERS)}\n`;
  const meta = record.meta.length === 0 ? [] : ['meta', ...hexLines(record.meta)];
  return `${[`LSN ${head.trimStart()}  ${payload.length} bytes`, ...meta, ...hexLines(payload)].join('\n')}\n`;
}
