#include "support.h"

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>

#include <uv.h>

namespace walstack {

namespace {

void ThrowNotA(napi_env env, const char* name, const char* expected) {
  char message[160];
  std::snprintf(message, sizeof message, "The \"%s\" argument must be %s", name, expected);
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", message);
}

// The names of errors that file systems return and libuv does not know.
const char* NameUnknownToLibuv(int error_number) {
#ifdef ENOLCK
  if (error_number == ENOLCK) return "ENOLCK";
#endif
#ifdef EDQUOT
  if (error_number == EDQUOT) return "EDQUOT";
#endif
  return nullptr;
}

}  // namespace

void GetArguments(napi_env env, napi_callback_info info, size_t count, napi_value* values) {
  napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
}

bool GetBytes(napi_env env, napi_value value, const char* name, Bytes* bytes) {
  napi_typedarray_type type;
  void* data = nullptr;
  size_t length = 0;
  if (napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr) != napi_ok ||
      type != napi_uint8_array) {
    ThrowNotA(env, name, "a Uint8Array");
    return false;
  }
  *bytes = {static_cast<uint8_t*>(data), data == nullptr ? 0 : length};
  return true;
}

bool GetUint32Array(napi_env env, napi_value value, const char* name, uint32_t** data, size_t* length) {
  napi_typedarray_type type;
  void* memory = nullptr;
  if (napi_get_typedarray_info(env, value, &type, length, &memory, nullptr, nullptr) != napi_ok ||
      type != napi_uint32_array) {
    ThrowNotA(env, name, "a Uint32Array");
    return false;
  }
  if (memory == nullptr) *length = 0;
  *data = static_cast<uint32_t*>(memory);
  return true;
}

bool GetInteger(napi_env env, napi_value value, const char* name, double minimum, double maximum, double* integer) {
  if (napi_get_value_double(env, value, integer) != napi_ok) {
    ThrowNotA(env, name, "a number");
    return false;
  }
  // Written so that NaN does not pass.
  if (!(*integer >= minimum && *integer <= maximum && std::trunc(*integer) == *integer)) {
    char message[200];
    std::snprintf(message, sizeof message,
                  "The value of \"%s\" is out of range. It must be an integer from %.0f to %.0f. Received %.17g", name,
                  minimum, maximum, *integer);
    ThrowOutOfRange(env, message);
    return false;
  }
  return true;
}

bool GetFd(napi_env env, napi_value value, int* fd) {
  double number;
  if (!GetInteger(env, value, "fd", 0, INT32_MAX, &number)) return false;
  *fd = static_cast<int>(number);
  return true;
}

void ThrowOutOfRange(napi_env env, const char* message) { napi_throw_range_error(env, "ERR_OUT_OF_RANGE", message); }

void ThrowSystemError(napi_env env, int error_number, const char* system_call) {
  const int uv_error = -error_number;
  char code[32];
  char reason[128];
  char message[256];
  const char* unnamed = NameUnknownToLibuv(error_number);
  if (unnamed == nullptr) {
    uv_err_name_r(uv_error, code, sizeof code);
  } else {
    std::snprintf(code, sizeof code, "%s", unnamed);
  }
  uv_strerror_r(uv_error, reason, sizeof reason);
  std::snprintf(message, sizeof message, "%s: %s, %s", code, reason, system_call);
  napi_value text;
  napi_value code_text;
  napi_value call_text;
  napi_value error;
  napi_create_string_utf8(env, message, NAPI_AUTO_LENGTH, &text);
  napi_create_string_utf8(env, code, NAPI_AUTO_LENGTH, &code_text);
  napi_create_string_utf8(env, system_call, NAPI_AUTO_LENGTH, &call_text);
  napi_create_error(env, code_text, text, &error);
  napi_set_named_property(env, error, "errno", MakeNumber(env, uv_error));
  napi_set_named_property(env, error, "syscall", call_text);
  napi_throw(env, error);
}

void ExportFunction(napi_env env, napi_value exports, const char* name, napi_callback function, void* data) {
  napi_value value;
  if (napi_create_function(env, name, NAPI_AUTO_LENGTH, function, data, &value) != napi_ok) return;
  napi_set_named_property(env, exports, name, value);
}

napi_value MakeNumber(napi_env env, double value) {
  napi_value number = nullptr;
  napi_create_double(env, value, &number);
  return number;
}

napi_value MakeBoolean(napi_env env, bool value) {
  napi_value boolean = nullptr;
  napi_get_boolean(env, value, &boolean);
  return boolean;
}

}  // namespace walstack
