// Notifies the event loop that a ring has something to reap: an eventfd that the kernel signals, watched by a handle of
// the loop.
#ifndef WALSTACK_RING_READINESS_H_
#define WALSTACK_RING_READINESS_H_

#include "has_io_uring.h"

#ifdef WALSTACK_HAS_IO_URING

#include <uv.h>

namespace walstack {

class RingReadiness {
 public:
  using Callback = void (*)(void* owner);

  // Returns 0 or an errno. `ready` is called on the loop, `closed` after `Close`. It does not keep the loop alive.
  static int Create(uv_loop_t* loop, void* owner, Callback ready, Callback closed, RingReadiness** readiness);

  int event_fd() const { return event_fd_; }

  // Whether it keeps the loop alive.
  void KeepLoopAlive(bool alive);

  // Ends it: `closed` is called later, on the loop, when this object is deleted.
  void Close();

 private:
  RingReadiness() = default;

  uv_poll_t handle_;
  int event_fd_ = -1;
  void* owner_ = nullptr;
  Callback ready_ = nullptr;
  Callback closed_ = nullptr;
};

}  // namespace walstack

#endif  // WALSTACK_HAS_IO_URING

#endif  // WALSTACK_RING_READINESS_H_
