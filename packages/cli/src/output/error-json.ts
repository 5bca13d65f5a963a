import type { WalError } from '@walstack/codec';

/** Code, message and facts of an error. */
export function errorJson(error: WalError): Record<string, unknown> {
  const { code, message, name: _name, cause: _cause, ...facts } = error;
  return { code, message, ...facts };
}
