/** Where the log is replicated to. */
export const streamOf = (servers: readonly string[]) => ({ connection: { servers: [...servers] }, log: 'payments' });
