import process from 'node:process';

/** What the checks need: the root of the repository, and a folder of their own. */
export interface Place {
  readonly root: string;
  readonly folder: string;
}

/** So that packages do without the addon. */
export const WITHOUT_ADDON = { WALSTACK_NATIVE: '0' } as const;

/** What a check runs in. The binary is not made of the sources that are changed: the defects are in what runs everywhere. */
export const environment = (): NodeJS.ProcessEnv => ({ ...process.env, ...WITHOUT_ADDON });
