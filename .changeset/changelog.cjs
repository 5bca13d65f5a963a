// How changesets becomes lines of the change logs. All packages have one version, so that a list of the others, with the commit of each
// of their changes, says nothing: changesets would add it to every package that has a dependency.
const { default: usual } = require('@changesets/cli/changelog');

module.exports = {
  getReleaseLine: usual.getReleaseLine,
  getDependencyReleaseLine: async () => '',
};
