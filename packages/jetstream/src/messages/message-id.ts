import { randomBytes } from 'node:crypto';
import type { Lsn } from '@walstack/codec';

/** What the identities of all messages of one connection end with, and of no other one: two copies of a log have the same LSNs. */
export const newSession = (): string => randomBytes(8).toString('base64url');

/** The identity of a message that a connection publishes. */
export const inSession = (id: string, session: string): string => `${id}:${session}`;

/** The session in the identity of a message; `undefined` when it has none. */
export const sessionIn = (id: string | undefined): string | undefined => /:([A-Za-z0-9_-]{11})$/.exec(id ?? '')?.[1];

/** The identity of a message, but for its session: the log, the segment and the LSN. */
export function recordId(logId: string, segment: number, lsn: Lsn): string {
  return `${logId}:${segment}:${lsn}`;
}

/** The identity of the message with the end of a segment. */
export function endId(logId: string, segment: number): string {
  return `${logId}:${segment}:end`;
}

/** The identity of the message with the header of a segment. */
export function segmentId(logId: string, segment: number): string {
  return `${logId}:${segment}`;
}

/** The identity of a part of a message. */
export const partId = (id: string, number: number, of: number): string => `${id}:${number}/${of}`;

/** The log id in the identity of a message; `undefined` when it is none of a log. */
export function logIdIn(id: string | undefined): string | undefined {
  return /^([0-9a-f]{32}):\d+/.exec(id ?? '')?.[1];
}

/** The log id as it is in messages. */
export const logIdText = (logId: Uint8Array): string => Buffer.from(logId).toString('hex');
