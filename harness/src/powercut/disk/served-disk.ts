import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import type { Random } from '../../random.js';
import { SECTOR_BYTES } from '../record/events.js';
import type { Recorder } from '../record/recorder.js';
import { listen } from './listen.js';
import { encodeNbdReply, type NbdRequest, NbdRequests } from './nbd.js';

/** The disk of a guest, in a file: records what it is asked for and has done, and takes now less time for it, now more. */
export class ServedDisk {
  readonly #server: Server;
  readonly #file: number;
  readonly #recorder: Recorder;
  readonly #random: Random;
  #closed = false;

  /** @param path - of the image, which changes */
  constructor(path: string, recorder: Recorder, random: Random) {
    this.#file = openSync(path, 'r+');
    this.#recorder = recorder;
    this.#random = random;
    this.#server = createServer({ noDelay: true }, (socket) => this.#serve(socket));
  }

  /** @returns the port at which it is served, to this machine only */
  listen(): Promise<number> {
    return listen(this.#server);
  }

  /** Nothing is recorded any more. */
  close(): void {
    this.#closed = true;
    this.#server.close();
    closeSync(this.#file);
  }

  #serve(socket: Socket): void {
    const requests = new NbdRequests();
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      if (this.#closed) return;
      for (const request of requests.take(bytes)) this.#take(request, socket);
    });
  }

  #take(request: NbdRequest, socket: Socket): void {
    switch (request.what) {
      case 'read': {
        const bytes = Buffer.alloc(request.length);
        readSync(this.#file, bytes, 0, request.length, request.position);
        this.#afterAWhile(() => socket.write(encodeNbdReply(request.handle, bytes)));
        return;
      }
      case 'write': {
        const { handle, position, bytes, fua } = request;
        const id = this.#recorder.write(position / SECTOR_BYTES, bytes, fua);
        writeSync(this.#file, bytes, 0, bytes.length, position);
        this.#afterAWhile(() => this.#end(id, handle, socket));
        return;
      }
      case 'flush': {
        const id = this.#recorder.flush();
        this.#afterAWhile(() => this.#end(id, request.handle, socket));
        return;
      }
      case 'disconnect':
        socket.end();
    }
  }

  /** It is recorded before it is answered. */
  #end(id: number, handle: bigint, socket: Socket): void {
    this.#recorder.done(id);
    socket.write(encodeNbdReply(handle));
  }

  /** Mostly at once, so that there is much to record; some a little later than what came behind it, few much later. */
  #afterAWhile(end: () => void): void {
    const kind = this.#random.next();
    const ended = (): void => {
      if (!this.#closed) end();
    };
    if (kind < 0.6) setImmediate(ended);
    else setTimeout(ended, kind < 0.97 ? this.#random.integer(1, 4) : this.#random.integer(5, 30));
  }
}
