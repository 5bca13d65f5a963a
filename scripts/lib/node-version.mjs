/** @param {string} version @returns {[number, number]} */
const majorAndMinor = (version) => {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return [major, minor];
};

/** @param {string} version @param {string} comparator one such as `>=20.19` or `<21` */
const meets = (version, comparator) => {
  const parts = /^(>=|<)(\d+(?:\.\d+)*)$/.exec(comparator);
  if (parts === null) {
    throw new Error(`package.json: "engines.node" has "${comparator}"; only ">=" and "<" are understood here`);
  }
  const [major, minor] = majorAndMinor(version);
  const [limitMajor, limitMinor] = majorAndMinor(parts[2] ?? '');
  const isAtLeast = major > limitMajor || (major === limitMajor && minor >= limitMinor);
  return parts[1] === '>=' ? isAtLeast : !isAtLeast;
};

/**
 * Whether a version of Node lies in a range such as `>=20.19 <21 || >=22.12`.
 * Written out because it runs before anything is installed.
 *
 * @param {string} version
 * @param {string} range
 */
export const isInRange = (version, range) =>
  range.split('||').some((part) =>
    part
      .trim()
      .split(/\s+/)
      .every((comparator) => meets(version, comparator)),
  );
