import type { MsgHdrs } from '@nats-io/nats-core';
import { sessionIn } from './message-id.js';

/** The header of a message that was published before those before it were acknowledged: how many of them were not. */
export const AHEAD_HEADER = 'Walstack-Ahead';

/** Which connection has published a message, and how many of its messages before were not acknowledged then. */
export interface Published {
  readonly sequence: number;
  readonly session: string | undefined;
  readonly ahead: number;
}

/** What the headers of a message say about its publication. */
export function publishedBy(sequence: number, headers: MsgHdrs | undefined): Published {
  const ahead = Number(headers?.get(AHEAD_HEADER) ?? '');
  return { sequence, session: sessionIn(headers?.get('Nats-Msg-Id')), ahead: Number.isSafeInteger(ahead) ? ahead : 0 };
}

/**
 * Finds the messages of a stream that are not in their place. A server stores a message when the stream ends with the expected sequence,
 * and cannot know of which writer the message there is. When two writers publish at the same time, the first message of one is
 * refused, and those behind it, which were on their way, may be stored behind the message of the other one. They are no part of the
 * log, and their writer does not count them as stored: so a message counts when all those before it that were not acknowledged when it
 * was published are of the same connection.
 */
export class Places {
  #before: (Published & { readonly isInPlace: boolean }) | undefined;

  /** @param before - the last message that is in its place, where that is known */
  constructor(before?: Published) {
    this.#before = before === undefined ? undefined : { ...before, isInPlace: true };
  }

  /** Whether the next message is in its place. Where messages before it were removed, it is. */
  isInPlace(message: Published): boolean {
    const before = this.#before;
    const isInPlace =
      message.ahead === 0 ||
      before === undefined ||
      before.sequence !== message.sequence - 1 ||
      (before.isInPlace && before.session === message.session);
    this.#before = { ...message, isInPlace };
    return isInPlace;
  }
}

/** So many messages are asked for at a time. */
const ASKED_AT_ONCE = 256;

/** Finds the same as {@link Places} for single messages, from those before that were not acknowledged when a message was published. */
export class SinglePlaces {
  readonly #find: (sequence: number) => Promise<Published | undefined>;
  readonly #known = new Map<number, Published>();

  /** @param find - returns what is known of a message; `undefined` when it was removed */
  constructor(find: (sequence: number) => Promise<Published | undefined>) {
    this.#find = find;
  }

  /** Whether a message is in its place. */
  async isInPlace({ sequence, session, ahead }: Published): Promise<boolean> {
    for (let behind = sequence; behind > sequence - ahead; behind -= ASKED_AT_ONCE) {
      const first = Math.max(sequence - ahead, behind - ASKED_AT_ONCE);
      const asked = Array.from({ length: behind - first }, (_, index) => this.#published(first + index));
      if ((await Promise.all(asked)).some((each) => each !== undefined && each.session !== session)) return false;
    }
    return true;
  }

  async #published(sequence: number): Promise<Published | undefined> {
    const known = this.#known.get(sequence) ?? (await this.#find(sequence));
    if (known !== undefined) this.#known.set(sequence, known);
    return known;
  }
}
