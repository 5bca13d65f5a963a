import { packageBuild } from '../../tsup.base.js';

export default packageBuild({
  index: 'src/index.ts',
  opentelemetry: 'src/opentelemetry.ts',
});
