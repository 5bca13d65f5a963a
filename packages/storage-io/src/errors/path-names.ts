/** The names of a path in a file system in memory, with `.` and `..` resolved; none for the root. */
export function namesOf(path: string): string[] {
  const names: string[] = [];
  for (const name of path.split(process.platform === 'win32' ? /[\\/]/ : '/')) {
    if (name === '..') names.pop();
    else if (name !== '' && name !== '.') names.push(name);
  }
  return names;
}
