#include "kernel_ring.h"

#ifdef WALSTACK_HAS_IO_URING

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

// Constants that older headers lack; the kernel's numbers never change.
#ifndef IORING_SETUP_SUBMIT_ALL
#define IORING_SETUP_SUBMIT_ALL (1U << 7)
#endif
#ifndef IORING_SETUP_COOP_TASKRUN
#define IORING_SETUP_COOP_TASKRUN (1U << 8)
#define IORING_SETUP_TASKRUN_FLAG (1U << 9)
#define IORING_SQ_TASKRUN (1U << 2)
#endif
#ifndef IORING_SETUP_SINGLE_ISSUER
#define IORING_SETUP_SINGLE_ISSUER (1U << 12)
#endif
#ifndef IORING_SETUP_DEFER_TASKRUN
#define IORING_SETUP_DEFER_TASKRUN (1U << 13)
#endif
#ifndef IORING_ASYNC_CANCEL_ANY
#define IORING_ASYNC_CANCEL_ALL (1U << 0)
#define IORING_ASYNC_CANCEL_ANY (1U << 2)
#endif

namespace walstack {

namespace {

constexpr uint32_t kRegisterSparse = 1;  // IORING_RSRC_REGISTER_SPARSE, since Linux 5.19

// As in the kernel since Linux 5.19: headers of that time have another name for the flags.
struct BufferTable {
  uint32_t places;
  uint32_t flags;
  uint64_t reserved;
  uint64_t data;
  uint64_t tags;
};

// Sets of flags to make a ring with, the best first.
struct Way {
  TaskWork task_work;
  uint32_t flags;
};

constexpr Way kWays[] = {
    {TaskWork::kNone, IORING_SETUP_SQPOLL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_SUBMIT_ALL},
    {TaskWork::kNone, IORING_SETUP_SQPOLL},
    {TaskWork::kDeferred, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
                              IORING_SETUP_SUBMIT_ALL},
    {TaskWork::kCooperative, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
                                 IORING_SETUP_SUBMIT_ALL},
    {TaskWork::kCooperative,
     IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL},
    {TaskWork::kInterrupting, 0},
};

struct Needed {
  uint8_t opcode;
  const char* name;
};

constexpr Needed kNeeded[] = {
    {IORING_OP_READ, "IORING_OP_READ"},           {IORING_OP_WRITE, "IORING_OP_WRITE"},
    {IORING_OP_FSYNC, "IORING_OP_FSYNC"},         {IORING_OP_FALLOCATE, "IORING_OP_FALLOCATE"},
    {IORING_OP_UNLINKAT, "IORING_OP_UNLINKAT"},   {IORING_OP_ASYNC_CANCEL, "IORING_OP_ASYNC_CANCEL"},
};

template <typename T>
T* At(void* base, uint32_t offset) {
  return reinterpret_cast<T*>(static_cast<char*>(base) + offset);
}

// These are shared with the kernel.
uint32_t Load(const uint32_t* word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
void Store(uint32_t* word, uint32_t value) { __atomic_store_n(word, value, __ATOMIC_RELEASE); }

double NowMs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

int RegisterCall(int fd, unsigned opcode, const void* argument, unsigned count) {
  return syscall(__NR_io_uring_register, fd, opcode, argument, count) < 0 ? errno : 0;
}

bool IsRefusal(int error) { return error == EAGAIN || error == EBUSY; }

}  // namespace

int KernelRing::Open(const RingSetup& setup, const char** missing) {
  *missing = nullptr;
  io_uring_params params;
  if (const int error = Setup(setup, &params)) return error;
  setup_flags_ = params.flags;
  // Without EXT_ARG (Linux 5.11) there is no waiting with a timeout; without NODROP a full queue loses completions.
  if (!(params.features & IORING_FEAT_SINGLE_MMAP)) *missing = "IORING_FEAT_SINGLE_MMAP";
  if (!(params.features & IORING_FEAT_NODROP)) *missing = "IORING_FEAT_NODROP";
  if (!(params.features & IORING_FEAT_EXT_ARG)) *missing = "IORING_FEAT_EXT_ARG";
  int error = *missing != nullptr ? ENOSYS : Map(params);
  if (error == 0) error = Probe();
  if (error == 0) {
    for (const Needed& needed : kNeeded) {
      if (!Knows(needed.opcode)) *missing = needed.name;
    }
    if (*missing != nullptr) error = ENOSYS;
  }
  if (error == 0) error = RegisterLifeline();
  if (error == 0) {
    error = TryToEnter();
    if (error != 0) *missing = "io_uring_enter";
  }
  if (error != 0) Close();
  return error;
}

int KernelRing::Setup(const RingSetup& setup, io_uring_params* params) {
  int error = EINVAL;
  for (const Way& way : kWays) {
    const bool asked_for = setup.kernel_polling ? way.task_work == TaskWork::kNone
                           : setup.task_work == TaskWork::kBest
                               ? way.task_work == TaskWork::kCooperative || way.task_work == TaskWork::kInterrupting
                               : way.task_work == setup.task_work;
    if (!asked_for) continue;
    *params = {};
    params->flags = way.flags | IORING_SETUP_CQSIZE;
    params->cq_entries = setup.completion_entries;
    params->sq_thread_idle = setup.polling_idle_ms;
    fd_ = static_cast<int>(syscall(__NR_io_uring_setup, setup.entries, params));
    if (fd_ >= 0) return 0;
    error = errno;
    // The errors for flags that the kernel does not support.
    if (error != EINVAL) break;
  }
  return error;
}

int KernelRing::Map(const io_uring_params& params) {
  sq_entries_ = params.sq_entries;
  cq_entries_ = params.cq_entries;
  rings_bytes_ = std::max<size_t>(params.sq_off.array + params.sq_entries * sizeof(uint32_t),
                                  params.cq_off.cqes + params.cq_entries * sizeof(io_uring_cqe));
  sqes_bytes_ = params.sq_entries * sizeof(io_uring_sqe);
  constexpr int kProtection = PROT_READ | PROT_WRITE;
  constexpr int kFlags = MAP_SHARED | MAP_POPULATE;
  void* rings = mmap(nullptr, rings_bytes_, kProtection, kFlags, fd_, IORING_OFF_SQ_RING);
  if (rings == MAP_FAILED) return errno;
  rings_ = rings;
  void* sqes = mmap(nullptr, sqes_bytes_, kProtection, kFlags, fd_, IORING_OFF_SQES);
  if (sqes == MAP_FAILED) return errno;
  sqes_ = static_cast<io_uring_sqe*>(sqes);

  sq_head_ = At<uint32_t>(rings_, params.sq_off.head);
  sq_tail_ = At<uint32_t>(rings_, params.sq_off.tail);
  sq_flags_ = At<uint32_t>(rings_, params.sq_off.flags);
  sq_mask_ = *At<uint32_t>(rings_, params.sq_off.ring_mask);
  cq_head_ = At<uint32_t>(rings_, params.cq_off.head);
  cq_tail_ = At<uint32_t>(rings_, params.cq_off.tail);
  cq_flags_ = params.cq_off.flags == 0 ? nullptr : At<uint32_t>(rings_, params.cq_off.flags);
  cq_mask_ = *At<uint32_t>(rings_, params.cq_off.ring_mask);
  cqes_ = At<io_uring_cqe>(rings_, params.cq_off.cqes);
  // The queue allows an order different from that in memory, which is not used.
  uint32_t* order = At<uint32_t>(rings_, params.sq_off.array);
  for (uint32_t index = 0; index < sq_entries_; index++) order[index] = index;
  return 0;
}

int KernelRing::Probe() {
  constexpr uint32_t kOperations = 256;
  alignas(io_uring_probe) char memory[sizeof(io_uring_probe) + kOperations * sizeof(io_uring_probe_op)] = {};
  io_uring_probe* probe = reinterpret_cast<io_uring_probe*>(memory);
  if (const int error = RegisterCall(fd_, IORING_REGISTER_PROBE, probe, kOperations)) return error;
  for (uint32_t index = 0; index < probe->ops_len; index++) {
    const io_uring_probe_op& operation = probe->ops[index];
    if (operation.flags & IO_URING_OP_SUPPORTED) known_[operation.op / 8] |= 1u << (operation.op % 8);
  }
  return 0;
}

int KernelRing::RegisterLifeline() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return errno;
  // The kernel releases what is registered with a ring when the last of its operations has ended.
  const int error = RegisterCall(fd_, IORING_REGISTER_FILES, &ends[1], 1);
  close(ends[1]);
  if (error == 0) {
    lifeline_ = ends[0];
  } else {
    close(ends[0]);
  }
  return error;
}

// A ring may be made where entering it is forbidden: this is tested with an operation that does nothing.
int KernelRing::TryToEnter() {
  io_uring_sqe* operation = Next();
  operation->opcode = IORING_OP_NOP;
  operation->fd = -1;
  int error = Wait(1, -1);
  if (IsRefusal(error)) {
    // Entering is allowed, but there is no room now: the operation is taken back.
    sq_next_ = Load(sq_head_);
    Store(sq_tail_, sq_next_);
    error = 0;
  }
  uint64_t user_data;
  int32_t result;
  while (error == 0 && Reap(&user_data, &result)) {
  }
  counters_ = {};
  return error != 0 ? error : TakeReapError();
}

void KernelRing::Close() {
  if (fd_ < 0) return;
  int error = 0;
  bool finished = true;
  if (sqes_ != nullptr) {
    // Operations that were not published to the kernel are dropped.
    sq_next_ = setup_flags_ & IORING_SETUP_SQPOLL ? Load(sq_tail_) : Load(sq_head_);
    Store(sq_tail_, sq_next_);
    if (InKernel() > Ready()) {
      if (io_uring_sqe* cancel = Next()) {
        cancel->opcode = IORING_OP_ASYNC_CANCEL;
        cancel->fd = -1;
        // Not supported before Linux 5.19: then all operations run to their end.
        cancel->rw_flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL;
      }
    }
    uint64_t user_data;
    int32_t result;
    while (InKernel() + Queued() > 0 && (error = Wait(1, -1)) == 0) {
      while (Reap(&user_data, &result)) {
      }
    }
    // If the kernel does not accept the cancellation, there is nothing else to cancel.
    finished = InKernel() == 0;
    munmap(sqes_, sqes_bytes_);
    sqes_ = nullptr;
  }
  if (rings_ != nullptr) munmap(rings_, rings_bytes_);
  rings_ = nullptr;
  // If the descriptor is no longer the ring's, it may belong to another file.
  if (error != EBADF && error != EOPNOTSUPP) close(fd_);
  fd_ = -1;
  if (!finished) AwaitEnd();
  if (lifeline_ >= 0) close(lifeline_);
  lifeline_ = -1;
}

// When its memory is unmapped and its descriptor closed, the kernel ends the ring, and waits for its operations.
void KernelRing::AwaitEnd() const {
  if (lifeline_ < 0) return;
  pollfd end = {lifeline_, 0, 0};
  while (poll(&end, 1, -1) < 0 && errno == EINTR) {
  }
}

io_uring_sqe* KernelRing::Next() {
  if (Room() == 0) {
    counters_.queue_full++;
    return nullptr;
  }
  io_uring_sqe* sqe = &sqes_[sq_next_ & sq_mask_];
  *sqe = {};
  sq_next_++;
  return sqe;
}

uint32_t KernelRing::Room() const { return sq_entries_ - (sq_next_ - Load(sq_head_)); }

uint32_t KernelRing::Queued() const { return sq_next_ - Load(sq_head_); }

uint32_t KernelRing::InKernel() const {
  // With kernel polling the kernel's thread takes published operations without a system call.
  return Load(setup_flags_ & IORING_SETUP_SQPOLL ? sq_tail_ : sq_head_) - reaped_;
}

uint32_t KernelRing::Ready() const { return Load(cq_tail_) - reaped_; }

void KernelRing::Publish() {
  if (setup_flags_ & IORING_SETUP_SQPOLL) counters_.submitted += sq_next_ - *sq_tail_;
  Store(sq_tail_, sq_next_);
}

bool KernelRing::NeedsWakeup() const {
  if (!(setup_flags_ & IORING_SETUP_SQPOLL)) return false;
  // The tail must be visible to the kernel before the wakeup flag of its thread is read.
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  return Load(sq_flags_) & IORING_SQ_NEED_WAKEUP;
}

// Returns the number of operations accepted, or a negative errno.
int KernelRing::Enter(uint32_t to_submit, uint32_t minimum, uint32_t flags, double timeout_ms) {
  counters_.enters++;
  int taken;
  if (timeout_ms < 0) {
    taken = static_cast<int>(syscall(__NR_io_uring_enter, fd_, to_submit, minimum, flags, nullptr, 0));
  } else {
    __kernel_timespec timeout;
    timeout.tv_sec = static_cast<int64_t>(timeout_ms / 1e3);
    timeout.tv_nsec = static_cast<int64_t>((timeout_ms - static_cast<double>(timeout.tv_sec) * 1e3) * 1e6);
    io_uring_getevents_arg argument = {};
    argument.ts = reinterpret_cast<uint64_t>(&timeout);
    taken = static_cast<int>(syscall(__NR_io_uring_enter, fd_, to_submit, minimum, flags | IORING_ENTER_EXT_ARG,
                                     &argument, sizeof argument));
  }
  if (taken < 0) return -errno;
  if (!(setup_flags_ & IORING_SETUP_SQPOLL)) counters_.submitted += static_cast<uint32_t>(taken);
  return taken;
}

// The same for a caller that reaps when this returns, and needs no signal. A later completion either finds the signal
// turned on, or is seen by the reaping afterwards.
int KernelRing::EnterUnsignalled(uint32_t to_submit, uint32_t minimum, uint32_t flags, double timeout_ms) {
  if (cq_flags_ == nullptr) return Enter(to_submit, minimum, flags, timeout_ms);
  Store(cq_flags_, IORING_CQ_EVENTFD_DISABLED);
  const int taken = Enter(to_submit, minimum, flags, timeout_ms);
  Store(cq_flags_, 0);
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  return taken;
}

int KernelRing::Submit() {
  Publish();
  if (setup_flags_ & IORING_SETUP_SQPOLL) {
    const uint32_t flags =
        (NeedsWakeup() ? IORING_ENTER_SQ_WAKEUP : 0) | (Room() == 0 ? IORING_ENTER_SQ_WAIT : 0);
    if (flags == 0) return 0;
    const int taken = Enter(0, 0, flags, -1);
    return taken < 0 && taken != -EINTR ? -taken : 0;
  }
  while (const uint32_t queued = Queued()) {
    // The same call also posts completions that are ready.
    const uint32_t flags = Load(sq_flags_) & IORING_SQ_TASKRUN ? IORING_ENTER_GETEVENTS : 0;
    const int taken = Enter(queued, 0, flags, -1);
    if (taken == -EINTR) {
      counters_.interrupted++;
    } else if (taken <= 0) {
      const int error = taken == 0 ? EAGAIN : -taken;
      if (IsRefusal(error)) counters_.refused++;
      return error;
    }
  }
  return 0;
}

int KernelRing::Wait(uint32_t minimum, double timeout_ms) {
  Publish();
  const double deadline = timeout_ms > 0 ? NowMs() + timeout_ms : 0;
  uint32_t wanted = timeout_ms == 0 ? 0 : minimum;
  double left = timeout_ms;
  bool refused = false;
  for (;;) {
    const uint32_t to_submit = refused || setup_flags_ & IORING_SETUP_SQPOLL ? 0 : Queued();
    const uint32_t goal = std::min({wanted, to_submit + InKernel(), cq_entries_});
    const bool wakeup = NeedsWakeup() && Queued() > 0;
    if (to_submit == 0 && !wakeup && Ready() >= goal) return 0;
    const uint32_t flags = IORING_ENTER_GETEVENTS | (wakeup ? IORING_ENTER_SQ_WAKEUP : 0);
    const int taken = EnterUnsignalled(to_submit, goal, flags, goal == 0 ? -1 : left);
    if (taken == -ETIME) return 0;
    if (taken == -EINTR) {
      counters_.interrupted++;
    } else if (IsRefusal(-taken) || (taken == 0 && to_submit > 0)) {
      counters_.refused++;
      if (InKernel() == 0) return EAGAIN;
      // A completion makes room.
      refused = true;
      wanted = std::min(wanted, 1u);
    } else if (taken < 0) {
      return -taken;
    } else if (Ready() < goal && (timeout_ms <= 0 || NowMs() < deadline)) {
      // A signal or other work interrupted the thread after the kernel had accepted operations.
      counters_.interrupted++;
    }
    if (timeout_ms > 0) {
      left = deadline - NowMs();
      if (left <= 0) wanted = 0;
    }
  }
}

bool KernelRing::Reap(uint64_t* user_data, int32_t* result) {
  while (Ready() == 0) {
    const uint32_t flags = Load(sq_flags_);
    if (!(flags & (IORING_SQ_CQ_OVERFLOW | IORING_SQ_TASKRUN))) return false;
    if (flags & IORING_SQ_CQ_OVERFLOW) counters_.overflows++;
    const int asked = EnterUnsignalled(0, 0, IORING_ENTER_GETEVENTS, -1);
    if (asked < 0 && asked != -EINTR) {
      reap_error_ = -asked;
      return false;
    }
  }
  const io_uring_cqe& completion = cqes_[reaped_ & cq_mask_];
  *user_data = completion.user_data;
  *result = completion.res;
  reaped_++;
  counters_.completed++;
  Store(cq_head_, reaped_);
  return true;
}

int KernelRing::TakeReapError() {
  const int error = reap_error_;
  reap_error_ = 0;
  return error;
}

int KernelRing::RegisterEventFd(int event_fd) { return RegisterCall(fd_, IORING_REGISTER_EVENTFD, &event_fd, 1); }

int KernelRing::RegisterBufferTable(uint32_t places) {
  BufferTable table = {};
  table.places = places;
  table.flags = kRegisterSparse;
  return RegisterCall(fd_, IORING_REGISTER_BUFFERS2, &table, sizeof table);
}

int KernelRing::UpdateBuffer(uint32_t place, void* data, size_t length) {
  iovec buffer = {data, length};
  io_uring_rsrc_update2 update = {};
  update.offset = place;
  update.data = reinterpret_cast<uint64_t>(&buffer);
  update.nr = 1;
  // Returns how many were updated.
  return RegisterCall(fd_, IORING_REGISTER_BUFFERS_UPDATE, &update, sizeof update);
}

}  // namespace walstack

#endif  // WALSTACK_HAS_IO_URING
