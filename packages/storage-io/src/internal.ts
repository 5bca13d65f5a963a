/**
 * What the other packages of this repository share, and users do not need: the option `io`, queues of routines, turns of
 * the event loop, signals, small files, numbers of system errors. It may change in any version.
 *
 * @packageDocumentation
 */

export { backendOf, checkBackend, releaseBackend } from './backends/backend-option.js';
export { checkOwnMode, DIRECTORY_MODE_DEFAULT, FILE_MODE_DEFAULT } from './engine/arguments.js';
export { aborted, checkSignal, onAbort, unlessAborted } from './errors/aborting.js';
export { addCallers, withCallers } from './errors/callers.js';
export { errnoNamed, errnoOf } from './errors/system-error.js';
export { callListener } from './errors/uncaught.js';
export { isHeld } from './lock/lock-holder-alive.js';
export { QUEUE_SPACE, requireWait, TURN, waitForProgress } from './routines/routine.js';
export { RoutineQueue } from './routines/routine-queue.js';
export { closeFile, kindOf, makeDirectories, replaceFile, syncAncestors } from './routines/small-files.js';
export { afterStep } from './routines/steps-under-way.js';
export {
  isTurnDue,
  nextTurn,
  Pace,
  setTurnClock,
  TURN_MS,
  turnNumber,
  turnTime,
  WAITING_STRIDE_MAX,
} from './routines/turns.js';
export { calledBetweenSteps, Interruptible, Interruption, type Watch, watched } from './routines/watched.js';
