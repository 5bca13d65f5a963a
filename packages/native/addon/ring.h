// The class Ring that JavaScript sees: a ring of io_uring whose completions reach the event loop.
#ifndef WALSTACK_RING_H_
#define WALSTACK_RING_H_

#include <node_api.h>

namespace walstack {

// Exports nothing where there is no io_uring to build for.
void ExportRing(napi_env env, napi_value exports);

}  // namespace walstack

#endif  // WALSTACK_RING_H_
