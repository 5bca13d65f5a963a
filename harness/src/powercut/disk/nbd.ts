/** The part of the NBD protocol that a disk needs: requests, each answered when it is done, in any order. */

const REQUEST_MAGIC = 0x2560_9513;
const REPLY_MAGIC = 0x6744_6698;
const REQUEST_BYTES = 28;
const REPLY_BYTES = 16;
const FUA = 1;

const COMMANDS = { read: 0, write: 1, disconnect: 2, flush: 3 } as const;

/** What a guest asks of its disk. */
export type NbdRequest =
  | { readonly what: 'read'; readonly handle: bigint; readonly position: number; readonly length: number }
  | {
      readonly what: 'write';
      readonly handle: bigint;
      readonly position: number;
      readonly bytes: Buffer;
      /** Whether it has to be durable when it is done. */
      readonly fua: boolean;
    }
  | { readonly what: 'flush'; readonly handle: bigint }
  | { readonly what: 'disconnect' };

/** Takes bytes as they come, and gives each request once it is whole. */
export class NbdRequests {
  #pending: Buffer = Buffer.alloc(0);

  /** @throws when this is not what a guest sends */
  *take(bytes: Buffer): Generator<NbdRequest> {
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    for (;;) {
      const bytesOfRequest = this.#length();
      if (bytesOfRequest === undefined || this.#pending.length < bytesOfRequest) return;
      const request = decode(this.#pending.subarray(0, bytesOfRequest));
      this.#pending = this.#pending.subarray(bytesOfRequest);
      yield request;
    }
  }

  /** How long the next request is; `undefined` while that is not known. */
  #length(): number | undefined {
    if (this.#pending.length < REQUEST_BYTES) return undefined;
    if (this.#pending.readUInt32BE(0) !== REQUEST_MAGIC) throw new Error('that is no request of an NBD client');
    const isWrite = this.#pending.readUInt16BE(6) === COMMANDS.write;
    return REQUEST_BYTES + (isWrite ? this.#pending.readUInt32BE(24) : 0);
  }
}

function decode(bytes: Buffer): NbdRequest {
  const handle = bytes.readBigUInt64BE(8);
  const position = Number(bytes.readBigUInt64BE(16));
  const length = bytes.readUInt32BE(24);
  const command = bytes.readUInt16BE(6);
  switch (command) {
    case COMMANDS.read:
      return { what: 'read', handle, position, length };
    case COMMANDS.write: {
      const fua = (bytes.readUInt16BE(4) & FUA) !== 0;
      return { what: 'write', handle, position, bytes: bytes.subarray(REQUEST_BYTES), fua };
    }
    case COMMANDS.flush:
      return { what: 'flush', handle };
    case COMMANDS.disconnect:
      return { what: 'disconnect' };
    default:
      throw new Error(`the disk has no command ${command}`);
  }
}

/** The answer that a request is done, with the bytes of a read. */
export function encodeNbdReply(handle: bigint, bytes?: Buffer): Buffer {
  const reply = Buffer.alloc(REPLY_BYTES);
  reply.writeUInt32BE(REPLY_MAGIC, 0);
  reply.writeBigUInt64BE(handle, 8);
  return bytes === undefined ? reply : Buffer.concat([reply, bytes]);
}
