/** The `code` of what a call throws; `'nothing thrown'` when it returns. */
export function codeOf(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return (error as { readonly code?: unknown }).code;
  }
  return 'nothing thrown';
}
