import type { Lsn } from '@walstack/codec';

/** The identity of a message, by which a server stores it once: the log, the segment and the LSN. */
export function recordId(logId: string, segment: number, lsn: Lsn): string {
  return `${logId}:${segment}:${lsn}`;
}

/** The identity of the message with the end of a segment, behind another message: it may be published again. */
export function endId(logId: string, segment: number, after: number): string {
  return `${logId}:${segment}:end:${after}`;
}

/** The identity of the message with the header of a segment. */
export function segmentId(logId: string, segment: number): string {
  return `${logId}:${segment}`;
}

/** The log id in the identity of a message; `undefined` when it is none of a log. */
export function logIdIn(id: string | undefined): string | undefined {
  return /^([0-9a-f]{32}):\d+/.exec(id ?? '')?.[1];
}

/** The log id as it is in messages. */
export const logIdText = (logId: Uint8Array): string => Buffer.from(logId).toString('hex');
