import type { Sample } from '../sampler.js';
import { element } from './element.js';

/** What the page says of the server. */
export type ShownState = Sample['state'] | 'connecting' | 'disconnected';

const TEXTS: Readonly<Record<ShownState, string>> = {
  connecting: 'Connecting…',
  disconnected: 'Server does not answer',
  init: 'Opening',
  running: 'Running',
  full: 'Disk full',
  draining: 'Shutting down',
  failed: 'Log has failed',
  closed: 'Closed',
};

const NOTICES: Readonly<Partial<Record<ShownState, string>>> = {
  disconnected: 'The numbers below are the last ones. The page connects again as soon as the server answers.',
  full:
    'The disk has no room. New events are refused with 507, and none that was acknowledged is lost. The log goes on by ' +
    'itself when there is room.',
};

/** Shows the state, and announces it where it has changed. */
export function showState(state: ShownState, failure?: string): void {
  const badge = element('state');
  if (badge.dataset['state'] === state) return;
  badge.dataset['state'] = state;
  element('state-text').textContent = TEXTS[state];
  const notice = element('notice');
  const text =
    failure === undefined
      ? NOTICES[state]
      : `The log accepts nothing more: ${failure}. The server has to be started again.`;
  notice.textContent = text ?? '';
  notice.hidden = text === undefined;
  document.body.classList.toggle('stale', state === 'disconnected');
}
