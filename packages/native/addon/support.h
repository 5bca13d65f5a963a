// Helpers of all functions of the addon: getting and checking arguments, and throwing errors as Node throws them.
#ifndef WALSTACK_SUPPORT_H_
#define WALSTACK_SUPPORT_H_

#include <node_api.h>

#include <cstddef>
#include <cstdint>

namespace walstack {

// The bytes of a Uint8Array (or any other typed array) in memory. Valid until JavaScript runs again.
struct Bytes {
  uint8_t* data;
  size_t length;
};

// The largest integer that a double holds exactly with all its neighbours.
constexpr double kMaxSafeInteger = 9007199254740991.0;

// Gets the arguments of a call, at most `count`; missing ones are undefined.
void GetArguments(napi_env env, napi_callback_info info, size_t count, napi_value* values);

// Each of these returns false with a TypeError (ERR_INVALID_ARG_TYPE) or RangeError (ERR_OUT_OF_RANGE) pending, which
// the caller only has to leave pending by returning nullptr.
bool GetBytes(napi_env env, napi_value value, const char* name, Bytes* bytes);
bool GetUint32Array(napi_env env, napi_value value, const char* name, uint32_t** data, size_t* length);
// The number of a file that may be open.
bool GetFd(napi_env env, napi_value value, int* fd);
bool GetInteger(napi_env env, napi_value value, const char* name, double minimum, double maximum, double* integer);

// Throws a RangeError with code ERR_OUT_OF_RANGE.
void ThrowOutOfRange(napi_env env, const char* message);

// Throws an Error as node:fs does: `code` (such as ENOENT), `errno` (negative) and `syscall` are its properties.
void ThrowSystemError(napi_env env, int error_number, const char* system_call);

// Adds a function to the exports, with `data` available in every call.
void ExportFunction(napi_env env, napi_value exports, const char* name, napi_callback function, void* data = nullptr);

napi_value MakeNumber(napi_env env, double value);
napi_value MakeBoolean(napi_env env, bool value);

}  // namespace walstack

#endif  // WALSTACK_SUPPORT_H_
