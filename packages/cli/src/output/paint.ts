import { styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

/** Colours a text, or returns it as it is where colours are off. */
export type Paint = (style: Style, text: string) => string;

/**
 * Colours only for a terminal, and for none where `NO_COLOR` is set; `FORCE_COLOR` asks for them everywhere.
 *
 * @param isTerminal - whether standard output is one
 */
export function paintFor(isTerminal: boolean, env: Readonly<Record<string, string | undefined>>): Paint {
  const isSet = (name: string): boolean => env[name] !== undefined && env[name] !== '';
  const isOn = isSet('NO_COLOR') ? false : isSet('FORCE_COLOR') ? env['FORCE_COLOR'] !== '0' : isTerminal;
  return isOn ? (style, text) => styleText(style, text, { validateStream: false }) : (_style, text) => text;
}
