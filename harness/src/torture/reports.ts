import type { LsnRange } from '@walstack/segmented';
import type { FoundClaims } from './expected/claims.js';

/** A log from `begun` to `lastLsn` of which salvage has to keep what is from `firstLsn` to before `nextLsn`. */
export interface SalvageNeeds {
  readonly firstLsn: number;
  readonly nextLsn: number;
  readonly begun: number;
  readonly lastLsn: number;
}

/** What a run tells of itself, each at the moment when it is so. */
export type Report = News & {
  /** The core that it is about, of a log that has cores. LSNs are then the numbers of its puts: 1, 2, 3 … */
  readonly core?: number;
};

type News =
  /** The log is open. */
  | { readonly what: 'opened'; readonly firstLsn: number; readonly nextLsn: number }
  /** The log has this checkpoint and these holds. */
  | ({ readonly what: 'claims' } & FoundClaims)
  /** Records `from` to `to` were read back, and each is byte for byte what this generation of a run had appended. */
  | { readonly what: 'held'; readonly run: number; readonly from: number; readonly to: number }
  /** Everything was read. */
  | { readonly what: 'checked' }
  /** A batch that has these LSNs is appended next. */
  | { readonly what: 'batch'; readonly from: number; readonly to: number }
  /** The log has promised that everything up to this LSN is durable. */
  | { readonly what: 'acknowledged'; readonly lsn: number }
  /** The log has handed over everything up to this LSN: it survives that its process is killed, and no power cut. */
  | { readonly what: 'flushed'; readonly lsn: number }
  /** Of a core: a commit of so many puts is durable. */
  | { readonly what: 'committed'; readonly count: number }
  /** Of a core: the last commit that was found is of so many puts. */
  | { readonly what: 'commits'; readonly count: number }
  /** Records before this LSN may go from now on. */
  | { readonly what: 'truncating'; readonly lsn: number }
  /** Records before this LSN are gone for good. */
  | { readonly what: 'truncated'; readonly firstLsn: number }
  /** Everything behind this LSN is about to go: it is there as a whole until then. */
  | { readonly what: 'cutting'; readonly lsn: number }
  /** Everything behind this LSN is gone, and what comes next is of this generation. */
  | { readonly what: 'cut'; readonly lsn: number; readonly generation: number }
  /** Everything is about to go, and the log to go on with this LSN. */
  | { readonly what: 'resetting'; readonly lsn: number }
  | { readonly what: 'reset'; readonly lsn: number; readonly generation: number }
  /** A hold of this name, or the checkpoint, is about to have this LSN; without one, the hold is about to go. */
  | { readonly what: 'claiming'; readonly name: string; readonly lsn: number | undefined }
  /** It has. */
  | { readonly what: 'claimed'; readonly name: string; readonly lsn: number | undefined }
  /** The log was damaged. */
  | ({ readonly what: 'damaged' } & SalvageNeeds)
  /** A damaged log is about to be opened with salvage. */
  | { readonly what: 'salvaging' }
  /** Salvage has said what is lost. */
  | { readonly what: 'salvaged'; readonly lost: readonly LsnRange[] }
  /** The disk is full. */
  | { readonly what: 'full' }
  /** A record was read back, and is not what was appended. */
  | { readonly what: 'differs'; readonly lsn: number; readonly text: string }
  /** Something else is not as it should be. `code`: of the error, when there was one. */
  | { readonly what: 'wrong'; readonly text: string; readonly code?: string };

/** One line without its end. */
export function encodeReport({ core, ...news }: Report): string {
  return core === undefined ? encodeNews(news) : `${core} ${encodeNews(news)}`;
}

/** What a line says. */
export function decodeReport(line: string): Report {
  const [, core, news = line] = /^(\d+) (.*)$/.exec(line) ?? [];
  return { ...decodeNews(news), ...(core === undefined ? {} : { core: Number(core) }) };
}

function encodeNews(news: News): string {
  switch (news.what) {
    case 'opened':
      return `opened ${news.firstLsn} ${news.nextLsn}`;
    case 'held':
      return `held ${news.run} ${news.from} ${news.to}`;
    case 'batch':
      return `batch ${news.from} ${news.to}`;
    case 'acknowledged':
    case 'flushed':
    case 'truncating':
    case 'cutting':
    case 'resetting':
      return `${news.what} ${news.lsn}`;
    case 'committed':
    case 'commits':
      return `${news.what} ${news.count}`;
    case 'cut':
    case 'reset':
      return `${news.what} ${news.lsn} ${news.generation}`;
    case 'claiming':
    case 'claimed':
      return `${news.what} ${news.name} ${news.lsn ?? '-'}`;
    case 'truncated':
      return `truncated ${news.firstLsn}`;
    case 'checked':
    case 'salvaging':
    case 'full':
      return news.what;
    case 'claims':
    case 'damaged':
    case 'salvaged':
    case 'differs':
    case 'wrong':
      return `${news.what} ${JSON.stringify(news)}`;
  }
}

function decodeNews(line: string): News {
  const space = line.indexOf(' ');
  const what = space === -1 ? line : line.slice(0, space);
  const rest = space === -1 ? '' : line.slice(space + 1);
  const [a, b, c] = rest.split(' ').map(Number) as [number, number, number];
  switch (what) {
    case 'opened':
      return { what, firstLsn: a, nextLsn: b };
    case 'held':
      return { what, run: a, from: b, to: c };
    case 'batch':
      return { what, from: a, to: b };
    case 'acknowledged':
    case 'flushed':
    case 'truncating':
    case 'cutting':
    case 'resetting':
      return { what, lsn: a };
    case 'committed':
    case 'commits':
      return { what, count: a };
    case 'cut':
    case 'reset':
      return { what, lsn: a, generation: b };
    case 'claiming':
    case 'claimed':
      return { what, name: rest.slice(0, rest.indexOf(' ')), lsn: Number.isNaN(b) ? undefined : b };
    case 'truncated':
      return { what, firstLsn: a };
    case 'checked':
    case 'salvaging':
    case 'full':
      return { what };
    case 'claims':
    case 'damaged':
    case 'salvaged':
    case 'differs':
    case 'wrong':
      return JSON.parse(rest) as News;
    default:
      return { what: 'wrong', text: `it said "${line}", which is no report` };
  }
}
