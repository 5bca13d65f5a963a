import { readFileSync } from 'node:fs';
import { Converter, ReflectionKind } from 'typedoc';

/** @param {string} folder of a package @returns {{ name: string, exports: Record<string, unknown> }} */
const manifestOf = (folder) =>
  JSON.parse(readFileSync(new URL(`../../packages/${folder}/package.json`, import.meta.url), 'utf8'));

/**
 * The name by which a program imports an entry point: `wal/src/opentelemetry` is `@walstack/wal/opentelemetry`.
 *
 * @param {string} module
 */
function importedAs(module) {
  const [, folder = '', path = ''] = /^(.*?)\/src(\/.*)?$/.exec(module) ?? [];
  const { name, exports } = manifestOf(folder);
  if (!(`.${path}` in exports)) throw new Error(`${name} does not export .${path}`);
  return `${name}${path}`;
}

/**
 * A plugin of TypeDoc: modules have the names by which programs import them.
 *
 * @param {import('typedoc').Application} app
 */
export function load(app) {
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    for (const module of project.getChildrenByKind(ReflectionKind.Module)) module.name = importedAs(module.name);
  });
}
