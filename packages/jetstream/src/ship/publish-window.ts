import { WalError } from '@walstack/codec';
import { inSession, newSession } from '../messages/message-id.js';
import type { LogStream, Outgoing } from '../stream/log-stream.js';

/** A window that was full is filled again when this part of it is on its way. */
const LOW = 0.75;

/**
 * Publishes messages in order without waiting for each: up to so many are on their way. Each one names the sequence of the one
 * before it, so where one is lost, none behind it is stored, and says how many before it were not acknowledged, so where another
 * writer has taken a place, none behind it counts.
 */
export class PublishWindow {
  readonly #stream: LogStream;
  readonly #messagesMax: number;
  readonly #bytesMax: number;
  readonly #failed: (error: unknown) => void;
  readonly #session = newSession();
  #sequence: number;
  #messages = 0;
  #bytes = 0;
  /** Whether a message was not stored. */
  #isStopped = false;
  #error: { readonly reason: unknown } | undefined;
  #wake: (() => void) | undefined;
  /** Resolves when everything published before was acknowledged, in order. */
  #before: Promise<void> = Promise.resolve();

  /**
   * @param after - the sequence of the last message of the stream
   * @param failed - called once, when a message was not stored
   */
  constructor(
    stream: LogStream,
    after: number,
    limits: { readonly messages: number; readonly bytes: number },
    failed: (error: unknown) => void,
  ) {
    this.#stream = stream;
    this.#sequence = after;
    this.#messagesMax = limits.messages;
    this.#bytesMax = limits.bytes;
    this.#failed = failed;
  }

  /** Messages that are on their way. */
  get inFlight(): number {
    return this.#messages;
  }

  /**
   * Publishes a message: at once where there is room, so that several go to the server in one piece.
   *
   * @param stored - called when this message and all before it are stored
   * @returns to be awaited where it is not `undefined`: there was no room
   * @throws why an earlier message was not stored
   */
  publish(message: Outgoing, stored: (sequence: number) => void): Promise<void> | undefined {
    if (this.#isStopped || this.#isFull(message.bytes.length)) return this.#publishLater(message, stored);
    this.#send(message, stored);
    return undefined;
  }

  async #publishLater(message: Outgoing, stored: (sequence: number) => void): Promise<void> {
    const { length } = message.bytes;
    while (this.#isStopped ? this.#error === undefined : this.#isFull(length)) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#error !== undefined) throw this.#error.reason;
    this.#send(message, stored);
  }

  #send(message: Outgoing, stored: (sequence: number) => void): void {
    const { length } = message.bytes;
    const after = this.#sequence++;
    const place = { after, ahead: this.#messages++ };
    this.#bytes += length;
    const publishing = this.#stream.publish({ ...message, id: inSession(message.id, this.#session) }, place);
    this.#before = this.#acknowledged(this.#before, publishing, after + 1, length, stored);
  }

  /** Waits until nothing is on its way. */
  async settled(): Promise<void> {
    await this.#before;
  }

  /** Whether it is worth going on: with room for many messages, and not for one. */
  #hasRoom(): boolean {
    const isLow = this.#messages <= LOW * this.#messagesMax && this.#bytes <= LOW * this.#bytesMax;
    return isLow || this.#messages === 0 || this.#isStopped;
  }

  #isFull(length: number): boolean {
    return this.#messages > 0 && (this.#messages >= this.#messagesMax || this.#bytes + length > this.#bytesMax);
  }

  /** Never rejects. */
  async #acknowledged(
    before: Promise<void>,
    publishing: Promise<number>,
    sequence: number,
    length: number,
    stored: (sequence: number) => void,
  ): Promise<void> {
    try {
      const got = await publishing;
      await before;
      // It is somewhere else in the stream.
      if (got !== sequence)
        throw new WalError(
          'WAL_STATE',
          `message ${sequence} of the stream ${this.#stream.name} is its message ${got}`,
          {
            path: this.#stream.name,
            reason: 'sequence',
          },
        );
      if (this.#error === undefined) stored(sequence);
    } catch (error) {
      // Nothing more is published at once; what is stored is reported before the error.
      this.#isStopped = true;
      this.#wake?.();
      await before;
      this.#fail(error);
    } finally {
      this.#messages--;
      this.#bytes -= length;
      if (this.#hasRoom()) this.#wake?.();
    }
  }

  #fail(error: unknown): void {
    if (this.#error !== undefined) return;
    this.#error = { reason: error };
    this.#failed(error);
  }
}
