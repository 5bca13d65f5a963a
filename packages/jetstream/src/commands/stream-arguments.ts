import { readFileSync } from 'node:fs';
import { credsAuthenticator } from '@nats-io/nats-core';
import type { RegisterCommand } from '@walstack/cli';
import type { CoresStreamOptions } from '../cores/cores-options.js';

/** The program that a command is added to. */
type Program = Parameters<RegisterCommand>[0];

/** A command of the program. */
export type Command = ReturnType<Program['command']>;

/** The arguments that say which stream. */
export interface StreamArguments {
  readonly log: string;
  readonly creds?: string;
  readonly tlsCa?: string;
  readonly cores?: boolean;
}

/** Adds the arguments of every command that reaches a cluster, but for its servers. */
export function withStream(command: Command): Command {
  return command
    .requiredOption('--log <name>', 'the name of the log in the cluster')
    .option('--cores', 'a per-core log: all its cores, and the manifest')
    .option('--creds <file>', 'the credentials of a user, as `nsc` writes them')
    .option('--tls-ca <file>', 'the certificates that the one of a server is verified with');
}

/** The options of the calls for these arguments. */
export function streamOf(servers: string, { log, creds, tlsCa }: StreamArguments): CoresStreamOptions {
  const connection = {
    servers: servers.split(','),
    ...(creds === undefined ? {} : { authenticator: credsAuthenticator(readFileSync(creds)) }),
    ...(tlsCa === undefined ? {} : { tls: { caFile: tlsCa } }),
  };
  return { connection, log };
}
