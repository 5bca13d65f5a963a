import type { NatsConnection } from '@nats-io/nats-core';

/**
 * A connection whose requests go through a function first.
 *
 * @param redirect - gets the subject of a request, and returns the one it is sent to
 */
export function intercepted(
  connection: NatsConnection,
  redirect: (subject: string) => string | Promise<string>,
): NatsConnection {
  return new Proxy(connection, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      if (name !== 'request') return value.bind(target);
      return async (subject: string, ...rest: unknown[]): Promise<unknown> =>
        value.call(target, await redirect(subject), ...rest);
    },
  });
}
