// Direct I/O: which alignment it needs, and how to turn it on.
#ifndef WALSTACK_DIRECT_IO_H_
#define WALSTACK_DIRECT_IO_H_

#include <node_api.h>

namespace walstack {

// Exports nothing where the platform has no direct I/O.
void ExportDirectIo(napi_env env, napi_value exports);

}  // namespace walstack

#endif  // WALSTACK_DIRECT_IO_H_
