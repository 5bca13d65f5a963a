import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/** A kernel for the guest, as Debian's packages have it. */
export interface Kernel {
  readonly version: string;
  readonly image: string;
  /** By name, the files of its modules. */
  readonly modules: ReadonlyMap<string, string>;
}

const IMAGE = /^vmlinuz-(.+)$/;

/** The last kernel under a directory, which is `/` or where a package was unpacked; `undefined` when there is none. */
export function findKernel(root: string): Kernel | undefined {
  const boot = join(root, 'boot');
  const names = existsSync(boot) ? readdirSync(boot) : [];
  const versions = names.flatMap((name) => IMAGE.exec(name)?.[1] ?? []);
  const version = versions.sort((a, b) => a.localeCompare(b, undefined, { numeric: true })).at(-1);
  if (version === undefined) return undefined;
  const folder = [join(root, 'lib/modules', version), join(root, 'usr/lib/modules', version)].find(existsSync);
  const files = folder === undefined ? [] : readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const modules = new Map<string, string>();
  for (const file of files) {
    if (!file.endsWith('.ko')) continue;
    modules.set(nameOf(basename(file, '.ko')), join(folder as string, file));
  }
  return { version, image: join(boot, `vmlinuz-${version}`), modules };
}

/** The files of modules and of all that they need, in the order in which they can be loaded. What is built in has none. */
export function modulesFor({ modules }: Kernel, names: readonly string[]): string[] {
  const found = new Set<string>();
  const visit = (name: string): void => {
    const file = modules.get(nameOf(name));
    if (file === undefined || found.has(file)) return;
    for (const needed of needsOf(file)) visit(needed);
    found.add(file);
  };
  for (const name of names) visit(name);
  return [...found];
}

/** Modules have the same name with either. */
const nameOf = (name: string): string => name.replaceAll('-', '_');

/** What a module says of itself: `depends=a,b`, `softdep=pre: c`, each with a zero behind it. */
function needsOf(file: string): string[] {
  const text = readFileSync(file, 'latin1');
  const values = (key: string): string[] =>
    [...text.matchAll(new RegExp(`\\0${key}=([^\\0]*)\\0`, 'g'))].map(([, value]) => value ?? '');
  const hard = values('depends').flatMap((names) => names.split(','));
  const soft = values('softdep').flatMap((text) => text.replace(/^pre: */, '').split(/\s+/));
  return [...hard, ...soft].filter((name) => name !== '');
}
