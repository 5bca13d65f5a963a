// The addon: one entry point, called once for each environment (the main thread and every worker has its own). No state
// is global: what lives longer than a call belongs to an object of its environment.

#include <node_api.h>

#include "bytes_binding.h"
#include "direct_io.h"
#include "locks.h"
#include "mapping.h"
#include "memory.h"
#include "ring.h"
#include "support.h"

namespace {

// Increased whenever the functions below change, so that the JavaScript does not call an older binary.
constexpr uint32_t kBindingVersion = 1;

}  // namespace

NAPI_MODULE_INIT() {
  napi_value version;
  napi_create_uint32(env, kBindingVersion, &version);
  napi_set_named_property(env, exports, "bindingVersion", version);
  walstack::ExportMemory(env, exports);
  walstack::ExportDirectIo(env, exports);
  walstack::ExportLocks(env, exports);
  walstack::ExportMapping(env, exports);
  walstack::ExportBytes(env, exports);
  walstack::ExportRing(env, exports);
  return exports;
}
