import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { onTestFinished } from 'vitest';

/** Listens on a diagnostics channel until the test that is running has ended. */
export function listen(channel: string, listener: (message: unknown) => void): void {
  subscribe(channel, listener);
  onTestFinished(() => {
    unsubscribe(channel, listener);
  });
}
