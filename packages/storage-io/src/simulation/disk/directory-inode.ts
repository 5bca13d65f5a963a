/** A directory: its names with their inodes, as they are now and as a sync has made them durable. */
export class DirectoryInode {
  readonly kind = 'directory';
  readonly id: number;
  /** The permissions. */
  readonly mode: number;
  readonly entries = new Map<string, number>();
  readonly durable = new Map<string, number>();

  constructor(id: number, mode: number) {
    this.id = id;
    this.mode = mode;
  }
}
