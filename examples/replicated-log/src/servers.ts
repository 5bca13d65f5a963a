import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

/** Whether there is a nats-server on this machine. */
export const hasServer = (): boolean => spawnSync('nats-server', ['--version']).status === 0;

/** Servers of the loopback interface that are one cluster, for this example; yours are elsewhere. */
export class Servers implements AsyncDisposable {
  readonly #children: readonly ChildProcess[];
  readonly addresses: readonly string[];

  private constructor(children: readonly ChildProcess[], addresses: readonly string[]) {
    this.#children = children;
    this.addresses = addresses;
  }

  /** @param directory - where they store their streams */
  static async start(directory: string, count: number): Promise<Servers> {
    const ports = await freePorts(count);
    const routes = ports.map((port) => `"nats-route://127.0.0.1:${port}"`).join(', ');
    const children = ports.map((port, index) => {
      const store = join(directory, `server-${index}`);
      mkdirSync(store, { recursive: true });
      const config = join(store, 'server.conf');
      writeFileSync(
        config,
        [
          `server_name: server-${index}`,
          'listen: "127.0.0.1:-1"',
          `jetstream { store_dir: "${store}", max_file_store: 1GB }`,
          `cluster { name: payments, listen: "127.0.0.1:${port}", routes: [${routes}] }`,
        ].join('\n'),
      );
      return spawn('nats-server', ['-c', config], { stdio: ['ignore', 'ignore', 'pipe'] });
    });
    return new Servers(children, await Promise.all(children.map(addressOf)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      this.#children.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        child.kill();
        await once(child, 'exit');
      }),
    );
  }
}

/** The address that a server has chosen, once it is ready. */
function addressOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = '';
    child.once('error', reject);
    child.once('exit', () => reject(new Error(`nats-server has ended: ${output}`)));
    child.stderr?.on('data', (text: Buffer) => {
      output += text.toString();
      const port = /Listening for client connections on 127\.0\.0\.1:(\d+)/.exec(output)?.[1];
      if (port !== undefined && output.includes('Server is ready')) resolve(`127.0.0.1:${port}`);
    });
  });
}

async function freePorts(count: number): Promise<readonly number[]> {
  const listening = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(listening.map((server) => once(server, 'listening')));
  const ports = listening.map((server) => (server.address() as { readonly port: number }).port);
  await Promise.all(listening.map((server) => once(server.close(), 'close')));
  return ports;
}
