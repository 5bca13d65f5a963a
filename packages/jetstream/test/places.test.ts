import { describe, expect, test } from 'vitest';
import { Places, type Published, SinglePlaces } from '../src/messages/places.js';

/** A message on its way, or in the stream. */
interface Message {
  readonly after: number;
  readonly ahead: number;
}

/** A connection that publishes: it has begun when the stream ended with `begin`. */
interface Session {
  readonly begin: number;
  readonly sent: number;
  readonly acknowledged: number;
  readonly onItsWay: readonly Message[];
  readonly answers: readonly boolean[];
  /** Whether a message was refused, or the connection is lost: what is on its way may be stored. */
  readonly isOver: boolean;
}

interface State {
  /** The index of the session of each message, and how many before it were not acknowledged. */
  readonly stream: readonly { readonly session: number; readonly ahead: number }[];
  readonly sessions: readonly Session[];
}

/** What may happen next. */
function* nextStates({ stream, sessions }: State, sessionsMax: number, messages: number): Generator<State> {
  const begun = { begin: stream.length, sent: 0, acknowledged: 0, onItsWay: [], answers: [], isOver: false };
  if (sessions.length < sessionsMax) yield { stream, sessions: [...sessions, begun] };
  for (const [index, session] of sessions.entries()) {
    const { begin, sent, acknowledged, onItsWay, answers, isOver } = session;
    const changed = (change: Partial<Session>, to = stream): State => ({
      stream: to,
      sessions: sessions.with(index, { ...session, ...change }),
    });
    if (!isOver && sent < messages) {
      const message = { after: begin + sent, ahead: sent - acknowledged };
      yield changed({ sent: sent + 1, onItsWay: [...onItsWay, message] });
    }
    const [arriving, ...later] = onItsWay;
    if (arriving !== undefined) {
      const { after, ahead } = arriving;
      const isStored = stream.length === after;
      const to = isStored ? [...stream, { session: index, ahead }] : stream;
      yield changed({ onItsWay: later, answers: [...answers, isStored] }, to);
      if (!isOver) yield changed({ isOver: true });
    }
    const [answer, ...others] = answers;
    if (answer === true && !isOver) yield changed({ answers: others, acknowledged: acknowledged + 1 });
    if (answer === false && !isOver) yield changed({ isOver: true });
  }
}

/** All states that connections can reach, each of which publishes so many messages. */
function reachable(sessions: number, messages: number): readonly State[] {
  const states = new Map<string, State>();
  const waiting: State[] = [{ stream: [], sessions: [] }];
  for (let state = waiting.pop(); state !== undefined; state = waiting.pop()) {
    for (const next of nextStates(state, sessions, messages)) {
      const key = JSON.stringify(next);
      if (states.has(key)) continue;
      states.set(key, next);
      waiting.push(next);
    }
  }
  return [...states.values()];
}

/** A message is in its place when there is, from the beginning of its session on, what that has published. */
const inPlace = ({ stream, sessions }: State): readonly boolean[] =>
  stream.map(({ session }, at) => stream.slice(sessions[session]?.begin, at).every((each) => each.session === session));

describe('every order in which the messages of some connections can arrive', () => {
  test.each([
    [2, 3],
    [3, 2],
  ])('%i connections with %i messages', async (sessions, messages) => {
    const streams = new Map<string, State>();
    for (const state of reachable(sessions, messages)) {
      const begins = state.sessions.map(({ begin }) => begin);
      streams.set(JSON.stringify([state.stream, begins]), state);
      // What a connection takes for stored is in its place.
      const known = inPlace(state);
      for (const { begin, acknowledged } of state.sessions) {
        expect(known.slice(begin, begin + acknowledged).every(Boolean)).toBe(true);
      }
    }
    let others = 0;
    for (const state of streams.values()) {
      const expected = inPlace(state);
      const published = state.stream.map(
        ({ session, ahead }, at): Published => ({ sequence: at + 1, session: `${session}`, ahead }),
      );
      // Also when reading begins behind a message that is in its place.
      for (const [from] of [true, ...expected].entries()) {
        if (from > 0 && !expected[from - 1]) continue;
        const places = new Places();
        const first = Math.max(0, from - 1);
        expect(published.slice(first).map((each) => places.isInPlace(each))).toEqual(expected.slice(first));
      }
      const single = new SinglePlaces(async (sequence) => published[sequence - 1]);
      const found: boolean[] = [];
      for (const each of published.toReversed()) found.unshift(await single.isInPlace(each));
      expect(found).toEqual(expected);
      if (expected.includes(false)) others++;
    }
    expect(others).toBeGreaterThan(30);
  });
});
