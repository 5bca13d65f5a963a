import { packageBuild } from '../../tsup.base.js';

export default packageBuild({
  segments: 'src/segments.ts',
});
