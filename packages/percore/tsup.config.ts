import { packageBuild } from '../../tsup.base.js';

export default packageBuild({
  index: 'src/index.ts',
  internal: 'src/internal.ts',
  // Started by its path, in each worker thread.
  'worker-entry': 'src/manager/worker-entry.ts',
});
