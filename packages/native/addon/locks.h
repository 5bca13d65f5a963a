// Locks on open files.
#ifndef WALSTACK_LOCKS_H_
#define WALSTACK_LOCKS_H_

#include <node_api.h>

namespace walstack {

// Exports nothing where the platform has no locks that belong to an open file.
void ExportLocks(napi_env env, napi_value exports);

}  // namespace walstack

#endif  // WALSTACK_LOCKS_H_
