// Files mapped into memory.
#ifndef WALSTACK_MAPPING_H_
#define WALSTACK_MAPPING_H_

#include <node_api.h>

namespace walstack {

// Exports nothing where the platform has no mmap.
void ExportMapping(napi_env env, napi_value exports);

}  // namespace walstack

#endif  // WALSTACK_MAPPING_H_
