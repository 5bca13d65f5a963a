/** The alignment that {@link withDirect} makes believe. */
const ALIGNMENT = 512;

/** Operations that claim direct I/O, with memory whose aligned part begins somewhere inside. */
export function withDirect<Ops extends object>(
  ops: Ops,
): Ops & { directAlignment(): number; allocateBuffer(bytes: number): Uint8Array } {
  return {
    ...ops,
    directAlignment: () => ALIGNMENT,
    allocateBuffer: (bytes) => new Uint8Array(new ArrayBuffer(bytes + 24), 24, bytes),
  };
}
