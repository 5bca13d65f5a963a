import { expect } from 'vitest';

/** What is equal to an error with this code and these facts. */
export const coded = (code: string, facts: object = {}): unknown => expect.objectContaining({ code, ...facts });
