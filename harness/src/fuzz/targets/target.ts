import fc from 'fast-check';
import { fromText, toText } from '../corpus-format.js';

/** One thing that is fuzzed: where its inputs come from, and what must hold for each of them. */
export interface Definition<Shape, Input> {
  readonly name: string;
  /** How inputs are drawn: structured, so that what fails can be made smaller. */
  readonly shapes: fc.Arbitrary<Shape>;
  /** The input itself, in which no trace of its making is left: what the corpus keeps. */
  readonly inputOf: (shape: Shape) => Input;
  /** Throws when something does not hold. */
  readonly check: (input: Input) => void;
}

/** An input for which something does not hold. */
interface Failure {
  /** As the corpus has it. */
  readonly input: string;
  readonly error: string;
}

/** A definition whose types are its own business. */
export interface Target {
  readonly name: string;
  /** Checks so many inputs, the same ones for the same seed; returns the smallest that fails. */
  fuzz(seed: number, runs: number): Failure | undefined;
  /** Checks an input of the corpus. */
  replay(input: string): void;
}

export function target<Shape, Input>({ name, shapes, inputOf, check }: Definition<Shape, Input>): Target {
  return {
    name,
    fuzz(seed, numRuns) {
      const property = fc.property(shapes, (shape) => check(inputOf(shape)));
      const { failed, counterexample, errorInstance } = fc.check(property, { seed, numRuns });
      if (!failed || counterexample === null) return undefined;
      const error = errorInstance instanceof Error ? `${errorInstance.stack}` : String(errorInstance);
      return { input: toText(inputOf(counterexample[0])), error };
    },
    // What the corpus holds was an input of this very target.
    replay: (input) => check(fromText(input) as Input),
  };
}

/** For targets whose inputs are drawn as they are. */
export const asItIs = <Input>(input: Input): Input => input;
