import { packageBuild } from '../../tsup.base.js';

export default packageBuild({
  index: 'src/index.ts',
  'scan-worker': 'src/parallel-scan/scan-worker.ts',
  segments: 'src/segments.ts',
});
