import type { Earlier } from '../sample-messages.js';
import type { Sample } from '../sampler.js';

export interface Listener {
  /** Connected, with what was sampled before; also after a server was started again. */
  connected(earlier: Earlier): void;
  sampled(sample: Sample): void;
  /** The server does not answer, and is tried again. */
  disconnected(): void;
}

/** How long to wait before a connection that was refused for good is made again. */
const AGAIN_MS = 1000;

/** Keeps a connection to the server, for as long as the page is open. */
export function connect(listener: Listener): void {
  const source = new EventSource('/stats/stream');
  source.addEventListener('earlier', ({ data }) => listener.connected(JSON.parse(data)));
  source.addEventListener('message', ({ data }) => listener.sampled(JSON.parse(data)));
  source.addEventListener('error', () => {
    listener.disconnected();
    // It connects again by itself, unless it got another answer, as from a server that is ending.
    if (source.readyState !== EventSource.CLOSED) return;
    setTimeout(connect, AGAIN_MS, listener);
  });
}
