import type { WalError } from '@walstack/codec';
import type { RecoveryMode } from '@walstack/segmented';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Context } from '../context.js';
import { exitCodeOf, UsageError } from '../exit-codes.js';
import { refuseOpened } from '../log/locks.js';
import { integer, type ReadLogOptions, withFramesOptions, withLogOptions } from '../log/options.js';
import { type Target, targetAt } from '../log/target.js';
import {
  type Attempt,
  attemptJson,
  attemptOf,
  modesOf,
  type RecoveryOptions,
  recoverTarget,
  type SalvageLsn,
} from '../recovery/recovery.js';
import { RECOVERY_MODES, refusalText } from '../recovery/recovery-text.js';

interface RepairOptions extends ReadLogOptions, RecoveryOptions {
  readonly mode?: RecoveryMode;
  readonly apply?: boolean;
}

/** Adds `walstack repair`. */
export function repairCommand(program: Command, context: Context): void {
  withFramesOptions(withLogOptions(program.command('repair')))
    .summary('what each recovery mode would keep, and with --apply recovers the log')
    .description(
      'Shows what recovering a log would keep, cut off and lose in each mode, and changes nothing. With --apply it is recovered: strict cuts off a torn tail, salvage keeps what is before the damage, skip-corrupt keeps all records that can be read.',
    )
    .argument('<log>', 'a directory with a log or a per-core log, or a file of frames')
    .addOption(
      new Option('--mode <mode>', 'only this recovery mode; with --apply strict unless it is set').choices(
        RECOVERY_MODES,
      ),
    )
    .addOption(
      new Option(
        '--salvage-lsn <lsns>',
        'the LSNs that a refused salvage asks for, such as 38,112; of a per-core log CORE:LSN',
      ).argParser(salvageLsnsOf),
    )
    .option('--apply', 'recover it')
    .addHelpText('after', EXAMPLES)
    .action((log: string, options: RepairOptions) => repair(targetAt(log), options, context));
}

const EXAMPLES = `
Examples:
  walstack repair data/events
  walstack repair data/events --mode salvage --apply`;

const lsnOf = integer(1);

function salvageLsnsOf(text: string, earlier: readonly SalvageLsn[] = []): SalvageLsn[] {
  const given = text.split(',').map((each): SalvageLsn => {
    const [first = '', second, more] = each.split(':');
    if (more !== undefined) throw new InvalidArgumentError('It is no LSN, and no CORE:LSN.');
    return second === undefined ? { lsn: lsnOf(first) } : { core: integer(0)(first), lsn: lsnOf(second) };
  });
  return [...earlier, ...given];
}

async function repair(target: Target, options: RepairOptions, context: Context): Promise<void> {
  const { mode, apply, core } = options;
  const path = target.kind === 'frames' ? target.path : target.directory;
  if (core !== undefined) throw new UsageError('the logs of all cores are repaired together: --core has no meaning');
  if (target.kind === 'log' && target.coreId !== undefined) {
    throw new UsageError(`${path} is the log of a core: all logs of a per-core log are repaired together`);
  }
  const modes = modesOf(target);
  if (mode !== undefined && !modes.includes(mode)) {
    const kind = target.kind === 'frames' ? 'a file of frames' : 'a per-core log';
    throw new UsageError(`${path} is ${kind}: it has the mode ${modes.join(' or ')}`);
  }
  checkSalvageLsns(target, options);
  refuseOpened(target, 'close it there first; walstack explain looks at it meanwhile');
  if (apply) return await applyTo(path, target, mode ?? 'strict', options, context);
  const attempts: Attempt[] = [];
  for (const each of mode === undefined ? modes : [mode]) {
    if (each === 'salvage' && isRepeated(options)) continue;
    attempts.push(await attemptOf(target, each, options, context));
  }
  await show(path, attempts, options, context);
}

/** Whether more LSNs are given than a salvage takes: one, of a per-core log one for each core. */
function isRepeated({ salvageLsn: given = [] }: RepairOptions): boolean {
  return new Set(given.map(({ core }) => core)).size < given.length;
}

/** An LSN that is given is used, or refused: it decides what is given up. @throws `UsageError` */
function checkSalvageLsns(target: Target, options: RepairOptions): void {
  const { mode, apply, salvageLsn: given } = options;
  if (given === undefined) return;
  if (target.kind === 'frames') throw new UsageError(`${target.path} is a file of frames, which has no LSN`);
  if (mode === 'strict' || (apply && mode === undefined)) {
    throw new UsageError('--salvage-lsn has no meaning for the mode strict: use --mode salvage or skip-corrupt');
  }
  if (isRepeated(options) && (mode === 'salvage' || target.kind === 'cores')) {
    throw new UsageError('--mode salvage takes one LSN, of a per-core log one for each core');
  }
}

async function show(
  path: string,
  attempts: readonly Attempt[],
  options: RepairOptions,
  context: Context,
): Promise<void> {
  const { out, paint } = context;
  const [first] = attempts;
  if (first?.refusal !== undefined) context.exitCode = exitCodeOf(first.refusal);
  if (options.json) {
    await out.json({ path, applied: false, modes: attempts.map(attemptJson) });
    return;
  }
  await out.line(paint('bold', path));
  for (const { mode, recovered, refusal } of attempts) {
    await out.line(`  ${mode.padEnd(12)}  ${recovered?.text ?? refusalText(refusal as WalError)}`);
  }
  const possible = attempts.filter(({ recovered }) => recovered !== undefined);
  const [best] = possible;
  if (best === undefined) return await out.line('nothing was changed, and none of these modes recovers it');
  if (best.recovered?.changes === false) return await out.line('there is nothing to repair');
  const choice = best.mode === 'strict' ? 'strict' : possible.map(({ mode }) => mode).join('|');
  const more = best.mode === 'strict' ? '' : salvageLsnText(options);
  await out.line(`nothing was changed; copy it first, then walstack repair ${path} --mode ${choice}${more} --apply`);
}

/** The LSNs as they were given: without them such a salvage is refused. */
function salvageLsnText({ salvageLsn }: RepairOptions): string {
  const lsns = salvageLsn?.map(({ core, lsn }) => (core === undefined ? lsn : `${core}:${lsn}`));
  return lsns === undefined ? '' : ` --salvage-lsn ${lsns.join(',')}`;
}

async function applyTo(
  path: string,
  target: Target,
  mode: RecoveryMode,
  options: RepairOptions,
  context: Context,
): Promise<void> {
  const { out, paint } = context;
  if (target.kind === 'cores') {
    // The logs are recovered one after another: one that is refused is found before any is changed.
    const { refusal } = await attemptOf(target, mode, options, context);
    if (refusal !== undefined) throw refusal;
  }
  const { text, report, quarantine } = await recoverTarget(target, mode, options, context);
  if (options.json) return await out.json({ path, applied: true, mode, report, quarantine });
  await out.line(`${path}: ${paint('green', 'recovered')} in the mode ${mode}`);
  await out.line(`  ${text}`);
  for (const directory of quarantine) await out.line(`  what was taken out of it is in ${directory}`);
}
