#include "ring_readiness.h"

#ifdef WALSTACK_HAS_IO_URING

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "allocation.h"

namespace walstack {

int RingReadiness::Create(uv_loop_t* loop, void* owner, Callback ready, Callback closed, RingReadiness** readiness) {
  const int event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (event_fd < 0) return errno;
  RingReadiness* made = new (kNothrow) RingReadiness();
  if (made == nullptr || uv_poll_init(loop, &made->handle_, event_fd) != 0) {
    close(event_fd);
    delete made;
    return ENOMEM;
  }
  made->event_fd_ = event_fd;
  made->owner_ = owner;
  made->ready_ = ready;
  made->closed_ = closed;
  made->handle_.data = made;
  uv_unref(reinterpret_cast<uv_handle_t*>(&made->handle_));
  const int error = uv_poll_start(&made->handle_, UV_READABLE, [](uv_poll_t* handle, int, int) {
    RingReadiness* self = static_cast<RingReadiness*>(handle->data);
    // Reset before anything is reaped: later completions signal again.
    uint64_t count;
    if (read(self->event_fd_, &count, sizeof count) < 0 && errno != EAGAIN) return;
    self->ready_(self->owner_);
  });
  *readiness = made;
  return error == 0 ? 0 : -error;
}

void RingReadiness::KeepLoopAlive(bool alive) {
  uv_handle_t* handle = reinterpret_cast<uv_handle_t*>(&handle_);
  if (alive) {
    uv_ref(handle);
  } else {
    uv_unref(handle);
  }
}

void RingReadiness::Close() {
  uv_poll_stop(&handle_);
  close(event_fd_);
  uv_close(reinterpret_cast<uv_handle_t*>(&handle_), [](uv_handle_t* handle) {
    RingReadiness* self = static_cast<RingReadiness*>(handle->data);
    const Callback closed = self->closed_;
    void* owner = self->owner_;
    delete self;
    closed(owner);
  });
}

}  // namespace walstack

#endif  // WALSTACK_HAS_IO_URING
