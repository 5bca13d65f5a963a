import { packageBuild } from '../../tsup.base.js';

export default packageBuild({ index: 'src/index.ts', main: 'src/commands/main.ts' });
