/** A job: its id is the LSN of its event. */
export interface Job {
  /** What the handler gets. */
  readonly task: unknown;
}

/** What became of a job, an event of the log of results. */
export interface Result {
  /** The id of the job. */
  readonly job: number;
  readonly outcome: 'done' | 'failed';
  /** What the handler returned, or the message of its last error. */
  readonly value: unknown;
  /** How often the handler was called for it by the process that recorded this. */
  readonly attempts: number;
}

/** Where the parts of a queue are, in its directory. */
export const jobsIn = (directory: string): string => `${directory}/jobs`;
export const resultsIn = (directory: string, shard: number): string => `${directory}/results-${shard}`;

/** The name under which the worker of a shard follows the log of jobs. */
export const followerOf = (shard: number): string => `worker-${shard}`;
