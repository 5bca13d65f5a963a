// Aligned memory.
#ifndef WALSTACK_MEMORY_H_
#define WALSTACK_MEMORY_H_

#include <node_api.h>

namespace walstack {

void ExportMemory(napi_env env, napi_value exports);

}  // namespace walstack

#endif  // WALSTACK_MEMORY_H_
