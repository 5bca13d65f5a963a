import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

/** Why there is no server; `undefined` where there is one. */
export const withoutServer: string | undefined =
  spawnSync('nats-server', ['--version']).status === 0
    ? undefined
    : 'nats-server is not installed (Debian: apt-get install nats-server)';
if (withoutServer !== undefined) process.stderr.write(`Skipped: ${withoutServer}\n`);

const places: string[] = [];
const running = new Set<NatsServer>();

afterAll(async () => {
  await Promise.all([...running].map((server) => server.kill()));
  await Promise.all(places.map((place) => rm(place, { recursive: true, force: true })));
});

function place(): string {
  const made = mkdtempSync(join(tmpdir(), 'jetstream-'));
  places.push(made);
  return made;
}

/** A server on a port of the loopback interface that the system has chosen, with a store of its own. */
export class NatsServer {
  readonly #config: string;
  readonly #extra: string;
  readonly store = place();
  #process: ChildProcess | undefined;
  port = 0;

  constructor(extra = '') {
    this.#extra = extra;
    this.#config = join(this.store, 'server.conf');
  }

  static async start(extra = ''): Promise<NatsServer> {
    const server = new NatsServer(extra);
    await server.start();
    return server;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Starts it with what is in its store, on another port. */
  async start(): Promise<void> {
    const store = `jetstream { store_dir: "${join(this.store, 'data')}", max_file_store: 1GB }`;
    writeFileSync(this.#config, `listen: "127.0.0.1:-1"\n${store}\n${this.#extra}\n`);
    const child = spawn('nats-server', ['-c', this.#config], { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#process = child;
    running.add(this);
    let output = '';
    await new Promise<void>((resolve, reject) => {
      child.once('exit', () => reject(new Error(`nats-server has ended: ${output}`)));
      child.stderr?.on('data', (text: Buffer) => {
        output += text.toString();
        const port = /Listening for client connections on 127\.0\.0\.1:(\d+)/.exec(output)?.[1];
        if (port !== undefined && output.includes('Server is ready')) {
          this.port = Number(port);
          resolve();
        }
      });
    });
  }

  /** Kills it at once; its store stays. */
  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    running.delete(this);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
}

/** Three servers that are one cluster. */
export async function startCluster(): Promise<readonly NatsServer[]> {
  const ports = await freePorts(3);
  const routes = ports.map((port) => `"nats-route://127.0.0.1:${port}"`).join(', ');
  const servers = ports.map(
    (port, index) =>
      new NatsServer(`server_name: n${index}\ncluster { name: c, listen: "127.0.0.1:${port}", routes: [${routes}] }`),
  );
  await Promise.all(servers.map((server) => server.start()));
  return servers;
}

async function freePorts(count: number): Promise<readonly number[]> {
  const listening = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(listening.map((server) => once(server, 'listening')));
  const ports = listening.map((server) => (server.address() as { readonly port: number }).port);
  await Promise.all(listening.map((server) => once(server.close(), 'close')));
  return ports;
}
