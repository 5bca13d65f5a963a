import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

/** Why nothing is measured with servers; `undefined` where there are some. */
export const serverMissing: string | undefined =
  spawnSync('nats-server', ['--version']).status === 0
    ? undefined
    : 'The bench jetstream is left out: there is no nats-server.';

/** Of the clock of the kernel, in which it counts the time of a process. */
const TICKS_PER_SECOND = 100;

/** A server of the loopback interface, or several that are one cluster, on ports that the system chooses. */
export class Cluster {
  readonly #configs: readonly string[];
  readonly #children: (ChildProcess | undefined)[];
  readonly #addresses: string[] = [];

  private constructor(configs: readonly string[]) {
    this.#configs = configs;
    this.#children = configs.map(() => undefined);
  }

  /** @param directory - where they store their streams */
  static async start(directory: string, servers: number): Promise<Cluster> {
    const ports = await freePorts(servers);
    const routes = ports.map((port) => `"nats-route://127.0.0.1:${port}"`).join(', ');
    const configs = ports.map((port, index) => {
      const store = join(directory, `n${index}`);
      mkdirSync(store, { recursive: true });
      const config = join(store, 'server.conf');
      const cluster = servers === 1 ? '' : `cluster { name: scale, listen: "127.0.0.1:${port}", routes: [${routes}] }`;
      const own = `server_name: n${index}\njetstream { store_dir: "${store}", max_file_store: 8GB }\n${cluster}\n`;
      writeFileSync(config, `listen: "127.0.0.1:-1"\n${own}`);
      return config;
    });
    const cluster = new Cluster(configs);
    await Promise.all(configs.map((_, index) => cluster.startServer(index)));
    return cluster;
  }

  get addresses(): string[] {
    return [...this.#addresses];
  }

  /** Starts a server, with what it had before. */
  async startServer(index: number): Promise<void> {
    const config = this.#configs[index] as string;
    const child = spawn('nats-server', ['-c', config], { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#children[index] = child;
    let output = '';
    this.#addresses[index] = await new Promise<string>((resolve, reject) => {
      child.once('exit', () => reject(new Error(`nats-server has ended: ${output}`)));
      child.stderr.on('data', (text: Buffer) => {
        output += text.toString();
        const port = /Listening for client connections on 127\.0\.0\.1:(\d+)/.exec(output)?.[1];
        if (port !== undefined && output.includes('Server is ready')) resolve(`127.0.0.1:${port}`);
      });
    });
  }

  /** Kills a server; what it has stored stays. */
  async killServer(index: number): Promise<void> {
    const child = this.#children[index];
    this.#children[index] = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  /** The time that a server has used of processors, in microseconds. */
  processorUs(index: number): number {
    const stat = readFileSync(`/proc/${this.#children[index]?.pid}/stat`, 'utf8');
    // Behind the name in parentheses: the fields from the third one on.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return ((Number(fields[11]) + Number(fields[12])) * 1e6) / TICKS_PER_SECOND;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#children.map((_, index) => this.killServer(index)));
  }
}

async function freePorts(count: number): Promise<readonly number[]> {
  const listening = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(listening.map((server) => once(server, 'listening')));
  const ports = listening.map((server) => (server.address() as { readonly port: number }).port);
  await Promise.all(listening.map((server) => once(server.close(), 'close')));
  return ports;
}
