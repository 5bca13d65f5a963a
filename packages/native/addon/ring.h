// The class Ring for JavaScript: an io_uring ring whose completions are signalled on the event loop.
#ifndef WALSTACK_RING_H_
#define WALSTACK_RING_H_

#include <node_api.h>

namespace walstack {

// Exports nothing where the build has no io_uring.
void ExportRing(napi_env env, napi_value exports);

}  // namespace walstack

#endif  // WALSTACK_RING_H_
