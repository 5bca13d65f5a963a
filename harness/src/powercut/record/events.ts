/** Disks write sectors of this size whole or not at all. */
export const SECTOR_BYTES = 512;

/** What happened, in the one order of a record: what was asked of the disk, what it has done, and what the logs promised. */
export type DiskEvent =
  /** The disk was asked to write. `offset`: of the bytes among those that the record keeps. */
  | {
      readonly what: 'write';
      readonly id: number;
      readonly sector: number;
      readonly sectors: number;
      readonly fua: boolean;
      readonly offset: number;
    }
  /** The disk was asked to make everything durable that it has said is written. */
  | { readonly what: 'flush'; readonly id: number }
  /** The disk is about to say that a write or a flush is done. */
  | { readonly what: 'done'; readonly id: number }
  /** A log has told something, as its line says. */
  | { readonly what: 'report'; readonly log: number; readonly line: string };

/** One line without its end. */
export function encodeEvent(event: DiskEvent): string {
  switch (event.what) {
    case 'write':
      return `write ${event.id} ${event.sector} ${event.sectors} ${event.fua ? 1 : 0} ${event.offset}`;
    case 'flush':
    case 'done':
      return `${event.what} ${event.id}`;
    case 'report':
      return `report ${event.log} ${event.line}`;
  }
}

/** What a line says. @throws when it says nothing of the kind */
export function decodeEvent(line: string): DiskEvent {
  const [what, ...rest] = line.split(' ');
  const [a, b, c, d, e] = rest.map(Number) as [number, number, number, number, number];
  switch (what) {
    case 'write':
      return { what, id: a, sector: b, sectors: c, fua: d === 1, offset: e };
    case 'flush':
    case 'done':
      return { what, id: a };
    case 'report':
      return { what, log: a, line: rest.slice(1).join(' ') };
    default:
      throw new Error(`a record does not say "${line}"`);
  }
}

/** Whether a log has said that something is durable. */
export const isAcknowledgement = (event: DiskEvent): boolean =>
  event.what === 'report' && /^(\d+ )?(acknowledged|cut|reset|claimed) /.test(event.line);
