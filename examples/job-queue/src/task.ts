/** What the jobs of this example are about. */
export interface Task {
  readonly number: number;
  readonly text: string;
}

/** The file with a line for each call of the handler. */
export const callsIn = (directory: string, shard: number): string => `${directory}/calls-${shard}.txt`;
