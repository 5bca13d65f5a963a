#include "locks.h"

#ifndef __linux__

namespace walstack {

void ExportLocks(napi_env, napi_value) {}

}  // namespace walstack

#else

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "allocation.h"
#include "support.h"

#ifndef F_OFD_SETLK
#define F_OFD_SETLK 37
#endif

namespace walstack {

namespace {

// Locks the whole file, whatever its size is or becomes. Returns 0, or the error's number.
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

bool GetExclusive(napi_env env, napi_value value, bool* exclusive) {
  if (napi_get_value_bool(env, value, exclusive) == napi_ok) return true;
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "The \"exclusive\" argument must be a boolean");
  return false;
}

// lockFile(fd, exclusive): whether the lock was obtained.
napi_value LockFile(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  GetArguments(env, info, 2, arguments);
  int fd;
  if (!GetFd(env, arguments[0], &fd)) return nullptr;
  bool exclusive;
  if (!GetExclusive(env, arguments[1], &exclusive)) return nullptr;
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

struct HeldLock;

// The held locks of one thread. They are released after everything else of the addon has ended with the thread, in
// particular rings: writes of the kernel for one holder must not overlap with those of the next one.
struct ThreadLocks {
  HeldLock* first;
};

// A lock with a descriptor of its own that no other code closes: the lock lasts until it is released or the thread
// ends, also where the thread leaves its other descriptors open.
struct HeldLock {
  int fd;
  // `nullptr` when it has ended.
  ThreadLocks* thread;
  HeldLock* previous;
  HeldLock* next;
  bool is_collected;
};

void Begin(ThreadLocks* thread, HeldLock* held) {
  held->thread = thread;
  held->next = thread->first;
  if (held->next != nullptr) held->next->previous = held;
  thread->first = held;
}

void End(HeldLock* held) {
  if (held->thread == nullptr) return;
  if (held->previous == nullptr) {
    held->thread->first = held->next;
  } else {
    held->previous->next = held->next;
  }
  if (held->next != nullptr) held->next->previous = held->previous;
  held->thread = nullptr;
  // Closing is not enough: a duplicate of the descriptor may be open.
  SetLock(held->fd, F_UNLCK);
  close(held->fd);
}

void OnThreadEnd(void* argument) {
  ThreadLocks* thread = static_cast<ThreadLocks*>(argument);
  while (HeldLock* held = thread->first) {
    End(held);
    if (held->is_collected) delete held;
  }
  delete thread;
}

void OnCollected(napi_env, void* data, void*) {
  HeldLock* held = static_cast<HeldLock*>(data);
  held->is_collected = true;
  if (held->thread == nullptr) delete held;
}

// holdLock(fd, exclusive): the handle for releaseLock; undefined when the lock was not obtained.
napi_value HoldLock(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  size_t count = 2;
  void* thread = nullptr;
  napi_get_cb_info(env, info, &count, arguments, nullptr, &thread);
  int fd;
  if (!GetFd(env, arguments[0], &fd)) return nullptr;
  bool exclusive;
  if (!GetExclusive(env, arguments[1], &exclusive)) return nullptr;
  const int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (own < 0) {
    ThrowSystemError(env, errno, "fcntl");
    return nullptr;
  }
  const int error = SetLock(own, exclusive ? F_WRLCK : F_RDLCK);
  if (error != 0) {
    close(own);
    if (error != EAGAIN && error != EACCES) ThrowSystemError(env, error, "fcntl");
    return nullptr;
  }
  HeldLock* held = new (kNothrow) HeldLock{own, nullptr, nullptr, nullptr, false};
  napi_value handle = nullptr;
  if (held == nullptr || napi_create_external(env, held, OnCollected, nullptr, &handle) != napi_ok) {
    SetLock(own, F_UNLCK);
    close(own);
    delete held;
    ThrowSystemError(env, ENOMEM, "fcntl");
    return nullptr;
  }
  Begin(static_cast<ThreadLocks*>(thread), held);
  return handle;
}

// releaseLock(handle)
napi_value ReleaseLock(napi_env env, napi_callback_info info) {
  napi_value arguments[1];
  GetArguments(env, info, 1, arguments);
  void* data = nullptr;
  if (napi_get_value_external(env, arguments[0], &data) != napi_ok || data == nullptr) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "The \"handle\" argument must be one of holdLock");
    return nullptr;
  }
  End(static_cast<HeldLock*>(data));
  return nullptr;
}

}  // namespace

void ExportLocks(napi_env env, napi_value exports) {
  ExportFunction(env, exports, "lockFile", LockFile);
  ExportFunction(env, exports, "unlockFile", UnlockFile);
  // Hooks are called in reverse order: this one after those of all rings, which are made later.
  ThreadLocks* thread = new (kNothrow) ThreadLocks{nullptr};
  if (thread == nullptr || napi_add_env_cleanup_hook(env, OnThreadEnd, thread) != napi_ok) {
    delete thread;
    return;
  }
  ExportFunction(env, exports, "holdLock", HoldLock, thread);
  ExportFunction(env, exports, "releaseLock", ReleaseLock);
}

}  // namespace walstack

#endif  // __linux__
