import type { Command } from 'commander';
import { appendCommand } from './commands/append.js';
import { backupCommand } from './commands/backup.js';
import { benchCommand } from './commands/bench.js';
import { catCommand } from './commands/cat.js';
import { completionCommand } from './commands/completion.js';
import { explainCommand } from './commands/explain.js';
import { exportCommand } from './commands/export.js';
import { holdCommand } from './commands/hold.js';
import { importCommand } from './commands/import.js';
import { inspectCommand } from './commands/inspect.js';
import { repairCommand } from './commands/repair.js';
import { restoreCommand } from './commands/restore.js';
import { statsCommand } from './commands/stats.js';
import { tailCommand } from './commands/tail.js';
import { truncateCommand } from './commands/truncate.js';
import { verifyCommand } from './commands/verify.js';
import type { Context } from './context.js';

/**
 * Adds commands to the program. Other packages extend the command line with functions of this kind: `run` takes a list of
 * them.
 */
export type RegisterCommand = (program: Command, context: Context) => void;

/** The commands of this package, in the order of the help. */
export const COMMANDS: readonly RegisterCommand[] = [
  inspectCommand,
  catCommand,
  tailCommand,
  verifyCommand,
  explainCommand,
  statsCommand,
  repairCommand,
  backupCommand,
  restoreCommand,
  appendCommand,
  exportCommand,
  importCommand,
  holdCommand,
  truncateCommand,
  benchCommand,
  completionCommand,
];
