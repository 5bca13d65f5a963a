/** What is posted. */
export interface IngestEvent {
  /** What has happened, such as `page.viewed`. */
  readonly name: string;
  readonly data?: unknown;
}

/** The most events of one POST: they are one batch, all of them or none. */
const EVENTS_MAX = 1000;

const EVENT = {
  type: 'object',
  required: ['name'],
  additionalProperties: false,
  properties: {
    name: { type: 'string', minLength: 1, maxLength: 64, pattern: '^[\\w.:-]+$' },
    data: {},
  },
} as const;

/** The JSON schema of what is posted: an event, or an array of them. */
export const POSTED = {
  anyOf: [EVENT, { type: 'array', minItems: 1, maxItems: EVENTS_MAX, items: EVENT }],
} as const;

export type Posted = IngestEvent | readonly IngestEvent[];

/** A text in JSON, which may contain digits, or a number. */
const TEXT_OR_NUMBER = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/gs;

/** The first number in JSON that would be stored as another one: an integer of which a double has other digits, or what is out of its range. */
export function changedNumber(json: string): string | undefined {
  for (const [token] of json.matchAll(TEXT_OR_NUMBER)) {
    if (token.startsWith('"')) continue;
    const value = Number(token);
    const isInteger = /^-?\d+$/.test(token);
    if (!Number.isFinite(value) || (isInteger && BigInt(token) !== BigInt(value))) return token;
  }
  return undefined;
}
