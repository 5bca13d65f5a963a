import process from 'node:process';
import { install } from './install.mjs';
import { step } from './steps.mjs';

/**
 * The first step of every command: what is needed is installed. Returns the environment in which the tools are found,
 * nothing where the install failed.
 *
 * @param {string} root
 * @returns {Promise<NodeJS.ProcessEnv | undefined>}
 */
export const prepare = async (root) => {
  let environment = process.env;
  const isInstalled = await step('install', async () => {
    const outcome = await install(root);
    environment = outcome.environment;
    return outcome;
  });
  return isInstalled ? environment : undefined;
};
