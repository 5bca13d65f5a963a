#include "locks.h"

#ifndef __linux__

namespace walstack {

void ExportLocks(napi_env, napi_value) {}

}  // namespace walstack

#else

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "support.h"

#ifndef F_OFD_SETLK
#define F_OFD_SETLK 37
#endif

namespace walstack {

namespace {

// Locks the whole file, whatever size it has or gets. Returns 0, or the error's number.
int SetLock(int fd, short type) {
  struct flock lock = {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  int result;
  do {
    result = fcntl(fd, F_OFD_SETLK, &lock);
  } while (result != 0 && errno == EINTR);
  return result == 0 ? 0 : errno;
}

// lockFile(fd, exclusive): whether the lock was had.
napi_value LockFile(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  GetArguments(env, info, 2, arguments);
  int fd;
  if (!GetFd(env, arguments[0], &fd)) return nullptr;
  bool exclusive;
  if (napi_get_value_bool(env, arguments[1], &exclusive) != napi_ok) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "The \"exclusive\" argument must be a boolean");
    return nullptr;
  }
  const int error = SetLock(fd, exclusive ? F_WRLCK : F_RDLCK);
  if (error != 0 && error != EAGAIN && error != EACCES) {
    ThrowSystemError(env, error, "fcntl");
    return nullptr;
  }
  return MakeBoolean(env, error == 0);
}

// unlockFile(fd)
napi_value UnlockFile(napi_env env, napi_callback_info info) {
  napi_value arguments[1];
  GetArguments(env, info, 1, arguments);
  int fd;
  if (!GetFd(env, arguments[0], &fd)) return nullptr;
  const int error = SetLock(fd, F_UNLCK);
  if (error != 0) ThrowSystemError(env, error, "fcntl");
  return nullptr;
}

}  // namespace

void ExportLocks(napi_env env, napi_value exports) {
  ExportFunction(env, exports, "lockFile", LockFile);
  ExportFunction(env, exports, "unlockFile", UnlockFile);
}

}  // namespace walstack

#endif  // __linux__
