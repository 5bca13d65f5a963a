#include "memory.h"

#include <cstdint>

#include "support.h"

namespace walstack {

namespace {

constexpr double kMaxAlignment = 2097152.0;

// alignedOffset(buffer, alignment): the offset in an ArrayBuffer of the first address that is a multiple of
// `alignment`, a power of two.
napi_value AlignedOffset(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  GetArguments(env, info, 2, arguments);
  void* data = nullptr;
  size_t length = 0;
  if (napi_get_arraybuffer_info(env, arguments[0], &data, &length) != napi_ok) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "The \"buffer\" argument must be an ArrayBuffer");
    return nullptr;
  }
  double alignment;
  if (!GetInteger(env, arguments[1], "alignment", 1, kMaxAlignment, &alignment)) return nullptr;
  const uintptr_t mask = static_cast<uintptr_t>(alignment) - 1;
  const uintptr_t offset = (~reinterpret_cast<uintptr_t>(data) + 1) & mask;
  return MakeNumber(env, static_cast<double>(offset));
}

}  // namespace

void ExportMemory(napi_env env, napi_value exports) { ExportFunction(env, exports, "alignedOffset", AlignedOffset); }

}  // namespace walstack
