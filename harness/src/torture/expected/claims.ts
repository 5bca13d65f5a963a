/** The name under which the checkpoint stands among the holds: no hold of the torture has it. */
export const CHECKPOINT = 'checkpoint';

/** Where a log says that it begins, and what its checkpoint and its holds are. */
export interface FoundClaims {
  readonly firstLsn: number;
  readonly checkpointLsn: number;
  readonly holds: Readonly<Record<string, number>>;
}

type Lsns = readonly (number | undefined)[];

/**
 * The checkpoint and the holds that a log has promised to keep: by name, the LSNs that each may have. There are several
 * only from the moment in which a change begins until it is done, or the log has said what it has.
 */
export class Claims {
  readonly #possible = new Map<string, Lsns>([[CHECKPOINT, [0]]]);

  /** A hold, or the checkpoint, is about to have this LSN; without one, the hold is about to go. */
  begin(name: string, lsn: number | undefined): void {
    this.#possible.set(name, [...this.#of(name), lsn]);
  }

  /** It has. The checkpoint never goes back by that. */
  done(name: string, lsn: number | undefined): void {
    const reached = name === CHECKPOINT ? this.#of(name).filter((each) => (each ?? 0) > (lsn ?? 0)) : [];
    this.#possible.set(name, reached.length > 0 ? reached : [lsn]);
  }

  /** The log is about to be cut behind an LSN: what is ahead of it goes back before. */
  beginCut(lastLsn: number): void {
    for (const [name, lsns] of this.#possible) this.#possible.set(name, [...lsns, ...lowered(lsns, lastLsn)]);
  }

  /** It was. */
  cut(lastLsn: number): void {
    for (const [name, lsns] of this.#possible) this.#possible.set(name, lowered(lsns, lastLsn));
  }

  /** The lowest LSN that some hold keeps for sure, with all behind it. */
  get keptFrom(): number {
    let kept = Number.POSITIVE_INFINITY;
    for (const [name, lsns] of this.#possible) {
      if (name === CHECKPOINT || lsns.includes(undefined)) continue;
      kept = Math.min(kept, Math.max(...lsns.map(Number)));
    }
    return kept;
  }

  /** Takes what a log has. @returns what is wrong with it; `undefined` when nothing is */
  find({ firstLsn, checkpointLsn, holds }: FoundClaims): string | undefined {
    const found: Readonly<Record<string, number>> = { ...holds, [CHECKPOINT]: checkpointLsn };
    for (const name of new Set([...this.#possible.keys(), ...Object.keys(found)])) {
      const lsn = found[name];
      // One from before the log begins stands for its beginning.
      const shown = (each: number | undefined) =>
        each === undefined || name === CHECKPOINT ? each : Math.max(each, firstLsn);
      const possible = this.#of(name).map(shown);
      if (!possible.includes(lsn)) {
        return `${nameOf(name)} is ${lsn ?? 'not there'}, and has to be ${possible.map((each) => each ?? 'gone').join(' or ')}`;
      }
      this.#possible.set(name, [lsn]);
    }
    return undefined;
  }

  #of(name: string): Lsns {
    return this.#possible.get(name) ?? [undefined];
  }
}

const nameOf = (name: string): string => (name === CHECKPOINT ? 'the checkpoint' : `the hold ${name}`);

/** What a cut behind an LSN makes of LSNs. One that the log goes on with stays where the cut has nothing to drop. */
function lowered(lsns: Lsns, lastLsn: number): Lsns {
  return lsns.flatMap((lsn) => {
    if (lsn === undefined || lsn <= lastLsn) return [lsn];
    return lsn === lastLsn + 1 ? [lsn, lastLsn] : [lastLsn];
  });
}
