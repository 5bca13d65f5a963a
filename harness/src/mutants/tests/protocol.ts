/** What the process that runs tests is started with. */
export interface TestsSetup {
  readonly root: string;
  /** Sources that stand in the place of others. */
  readonly overlay?: string;
  /** A copy of the package with the addon. */
  readonly native?: string;
}

/** A file of tests that is to run. */
export interface TestsRequest {
  readonly file: string;
  /** What the tests have in their environment, besides that of the process. */
  readonly env: Readonly<Record<string, string>>;
}

/** What running a file of tests came to. */
export interface TestsReply {
  /** How many tests ran. */
  readonly ran: number;
  /** The names of those that failed, and what went wrong outside of tests. */
  readonly failed: readonly string[];
}
