import { callListener } from '../errors/uncaught.js';

/*
 * The turns that work of this thread gives the event loop, so that timers and I/O are not kept waiting while a large log is
 * read. All work of the thread counts together: what several readers do one after the other in one turn is one wait for a
 * timer.
 */

/**
 * After so many milliseconds of work the event loop gets its turn. Half of the 10 ms that are documented: the clock is only
 * looked at between two pieces of work, and timers run in front of the piece that comes after the turn.
 */
export const TURN_MS = 5;

/** Looks at the clock are this far apart, in iterations of a loop, while they cost little. */
const STRIDE_MAX = 128;

/** The same in a loop that waits at each iteration, which costs more than a look: a caller may take long from any of them on. */
export const WAITING_STRIDE_MAX = 8;

/** Looks that are further apart than this are made more often: the work between them takes long. */
const LOOK_MS = 0.5;

let clock: () => number = () => performance.now();
/** While above 0 no turn is due: a simulation has to repeat, whatever the time. */
let held = 0;
/** When the work of this turn of the event loop began. */
let begunAt = 0;
/** Runs at the end of this turn of the event loop; `undefined` while no work was done in it. */
let end: NodeJS.Immediate | undefined;
/** How many turns of the event loop were seen in which work was done. */
let turns = 0;
/** What continues in a later turn, in the order in which it stopped. */
const waiting: Waiting[] = [];

interface Waiting {
  readonly resume: () => void;
  /** Whether it works behind the call of `resume`, so that the time that it takes is not known when that returns. */
  readonly isPromise: boolean;
}

/**
 * Whether work has kept the event loop for so long that it has to wait for the next turn, by {@link nextTurn} or by yielding
 * `TURN` from a routine. To be called between pieces of work that are short; in a loop over records through a {@link Pace}.
 */
export function isTurnDue(): boolean {
  return held === 0 && isDueAt(clock());
}

function isDueAt(now: number): boolean {
  if (end !== undefined) return now - begunAt >= TURN_MS;
  begunAt = now;
  // It does not wake an event loop that waits for I/O.
  end = setImmediate(endTurn).unref();
  return false;
}

/** Calls `resume` once in a later turn of the event loop, after timers and I/O; its work is done when it returns. */
export function onNextTurn(resume: () => void): void {
  wait({ resume, isPromise: false });
}

/** Resolves in a later turn of the event loop, after timers and I/O. */
export function nextTurn(): Promise<void> {
  return new Promise((resume) => wait({ resume, isPromise: true }));
}

function wait(work: Waiting): void {
  waiting.push(work);
  awaitTurn();
}

/** Makes sure that there is a next turn. */
function awaitTurn(): void {
  end ??= setImmediate(endTurn);
  end.ref();
}

/** The time by the clock of the turns, in milliseconds. */
export const turnTime = (): number => clock();

/** The number of the present turn of the event loop: another one whenever the event loop had its turn. */
export const turnNumber = (): number => turns;

function endTurn(): void {
  end = undefined;
  turns++;
  for (let left = waiting.length; left > 0; left--) {
    const work = waiting.shift();
    if (work === undefined) return;
    callListener(work.resume, undefined);
    // It may have used up the turn. The others come first in the next one.
    if (work.isPromise || isTurnDue()) break;
  }
  if (waiting.length > 0) awaitTurn();
}

/** Continues what waits for a turn, for a call that blocks the thread, which gets none. @returns how much there was */
export function continueInThisTurn(): number {
  const count = waiting.length;
  begunAt = clock();
  turns++;
  for (let left = count; left > 0 && waiting.length > 0; left--) {
    callListener((waiting.shift() as Waiting).resume, undefined);
  }
  return count;
}

/** From now on no turn is due, until the function that it returns is called: what runs meanwhile does not depend on time. */
export function holdTurns(): () => void {
  let isHeld = true;
  held++;
  return () => {
    if (isHeld) held--;
    isHeld = false;
  };
}

/** Replaces the clock of the turns in this thread, in milliseconds; without one, it is the system's again. For tests. */
export function setTurnClock(now?: () => number): void {
  clock = now ?? (() => performance.now());
  begunAt = clock();
}

/**
 * Decides in a loop over records whether a turn is due, without a look at the clock for each: at every 128th record while they
 * are short work, at each one where a callback of the application takes long.
 */
export class Pace {
  /** Iterations between two looks, and to the next one. */
  #stride = 1;
  #left = 1;
  #lookedAt = 0;
  readonly #strideMax: number;

  /** @param strideMax - how many iterations there are between two looks at most */
  constructor(strideMax = STRIDE_MAX) {
    this.#strideMax = strideMax;
  }

  /** Whether a turn is due. To be called once for each record; a very hot loop counts down itself what {@link look} returns. */
  isDue(): boolean {
    if (--this.#left > 0) return false;
    const stride = this.look();
    this.#left = Math.max(stride, 1);
    return stride === 0;
  }

  /** Looks at the clock. @returns after how many records to look again; 0 when a turn is due */
  look(): number {
    if (held > 0) return this.#strideMax;
    const now = clock();
    this.#stride = now - this.#lookedAt > LOOK_MS ? 1 : Math.min(2 * this.#stride, this.#strideMax);
    this.#lookedAt = now;
    return isDueAt(now) ? 0 : this.#stride;
  }
}
