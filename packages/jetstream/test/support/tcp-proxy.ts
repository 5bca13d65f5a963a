import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** Passes connections on to a server, until it cuts them. */
export class TcpProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Connections that were made. */
  count = 0;
  /** Whether bytes of the client are passed on. */
  isPassing = true;
  /** Whether bytes of the server are passed back. */
  isAnswering = true;

  private constructor(target: () => number) {
    this.#server = createServer((client) => {
      this.count++;
      const server = connect(target(), '127.0.0.1');
      for (const socket of [client, server]) {
        this.#sockets.add(socket);
        socket.on('error', () => {});
        socket.on('close', () => {
          this.#sockets.delete(socket);
          client.destroy();
          server.destroy();
        });
      }
      client.on('data', (bytes) => {
        if (this.isPassing) server.write(bytes);
      });
      server.on('data', (bytes) => {
        if (this.isAnswering) client.write(bytes);
      });
    });
  }

  static async start(target: () => number): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    await once(proxy.#server.listen(0, '127.0.0.1'), 'listening');
    return proxy;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as { readonly port: number }).port}`;
  }

  /** Cuts every connection. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    await once(this.#server.close(), 'close');
  }
}
