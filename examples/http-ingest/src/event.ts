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
