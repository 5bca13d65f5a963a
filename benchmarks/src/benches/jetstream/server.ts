import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Why nothing is measured with a server; `undefined` where there is one. */
export const serverMissing: string | undefined =
  spawnSync('nats-server', ['--version']).status === 0
    ? undefined
    : 'The bench jetstream is left out: there is no nats-server.';

/** A server of the loopback interface, on a port that the system chooses. */
export class BenchServer {
  readonly #child: ChildProcess;
  readonly address: string;

  private constructor(child: ChildProcess, address: string) {
    this.#child = child;
    this.address = address;
  }

  /** @param directory - where it stores its streams */
  static async start(directory: string): Promise<BenchServer> {
    mkdirSync(directory, { recursive: true });
    const config = join(directory, 'server.conf');
    writeFileSync(config, `listen: "127.0.0.1:-1"\njetstream { store_dir: "${directory}" }\n`);
    const child = spawn('nats-server', ['-c', config], { stdio: ['ignore', 'ignore', 'pipe'] });
    let output = '';
    const port = await new Promise<string>((resolve, reject) => {
      child.once('exit', () => reject(new Error(`nats-server has ended: ${output}`)));
      child.stderr.on('data', (text: Buffer) => {
        output += text.toString();
        const found = /Listening for client connections on 127\.0\.0\.1:(\d+)/.exec(output)?.[1];
        if (found !== undefined && output.includes('Server is ready')) resolve(found);
      });
    });
    return new BenchServer(child, `127.0.0.1:${port}`);
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGKILL');
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit');
  }
}
