import type { Latency } from './rows/latencies.js';

/** What is measured: one kind of work, and all that do it. */
export interface Case {
  readonly bench: string;
  /** Such as `committers=8`. */
  readonly name: string;
  readonly unit: string;
  readonly contestants: readonly Contestant[];
}

/** A subject, or a part of one, that does the work of a case. */
export interface Contestant {
  /** Such as `walstack/thread-pool`. */
  readonly subject: string;
  /** Done once, before the first measurement, and not measured. */
  readonly prepare?: () => Promise<void>;
  /** Done once, after the last measurement. */
  readonly end?: () => Promise<void>;
  /** Does the work once, and checks what came of it. Throws when it is not what it should be. */
  readonly measure: () => Promise<Sample>;
}

/** One measurement. */
export interface Sample {
  /** In the unit of the case. */
  readonly value: number;
  /** Of single operations, where they are waited for one by one. */
  readonly latency?: Latency;
  /** What else was measured at the same time. */
  readonly also?: readonly Figure[];
}

/** A further figure of a measurement; its rows are those of a case of their own. */
export interface Figure {
  /** What follows the name of the case, such as `segments`. */
  readonly name: string;
  readonly unit: string;
  readonly value: number;
}
