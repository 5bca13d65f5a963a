// An io_uring ring: its system calls and the memory shared with the kernel, independent of Node.
//
// One thread owns it. Operations are put into the submission queue (`Next`), submitted to the kernel (`Submit`, `Wait`)
// and reaped from the completion queue (`Reap`). Every operation that the kernel has accepted completes exactly once.
#ifndef WALSTACK_KERNEL_RING_H_
#define WALSTACK_KERNEL_RING_H_

#include "has_io_uring.h"

#ifdef WALSTACK_HAS_IO_URING

#include <cstddef>
#include <cstdint>

namespace walstack {

// When the kernel posts completions of what the disk has finished.
enum class TaskWork : uint32_t {
  kBest = 0,          // cooperative where the kernel supports it, else interrupting
  kDeferred = 1,      // when the owner asks for completions: DEFER_TASKRUN (Linux 6.1)
  kCooperative = 2,   // at any system call of the owner: COOP_TASKRUN (Linux 5.19)
  kInterrupting = 3,  // at once, interrupting the owner
  kNone = 4,          // independently of the owner, in the kernel's polling thread
};

struct RingSetup {
  uint32_t entries = 0;             // of the submission queue
  uint32_t completion_entries = 0;  // of the completion queue
  bool kernel_polling = false;      // a kernel thread polls for submissions
  uint32_t polling_idle_ms = 0;     // and sleeps after this time without any
  TaskWork task_work = TaskWork::kBest;
};

// Counters since the ring was made.
struct RingCounters {
  uint64_t enters = 0;        // io_uring_enter system calls
  uint64_t submitted = 0;     // operations submitted to the kernel
  uint64_t completed = 0;     // operations completed
  uint64_t queue_full = 0;    // times that the submission queue was full
  uint64_t overflows = 0;     // times that the completion queue was full, and the kernel kept completions
  uint64_t refused = 0;       // times that the kernel refused submissions (EAGAIN, EBUSY)
  uint64_t interrupted = 0;   // times that the kernel returned too early from waiting (EINTR among them)
  uint64_t fixed_buffer = 0;  // operations on registered buffers
};

class KernelRing {
 public:
  KernelRing() = default;
  ~KernelRing() { Close(); }
  KernelRing(const KernelRing&) = delete;
  KernelRing& operator=(const KernelRing&) = delete;

  // Makes the ring. Returns 0, or an errno; `*missing` then names what this kernel lacks, if that is the reason.
  int Open(const RingSetup& setup, const char** missing);

  // Cancels what can be cancelled, waits until the kernel has finished the rest, and releases everything. What was not
  // submitted is dropped. May block. The kernel no longer uses any memory or file when this returns, also when it can
  // no longer be entered.
  void Close();

  bool is_open() const { return fd_ >= 0; }
  int fd() const { return fd_; }
  uint32_t setup_flags() const { return setup_flags_; }
  uint32_t completion_entries() const { return cq_entries_; }
  const RingCounters& counters() const { return counters_; }

  // Whether the kernel supports an operation.
  bool Knows(uint8_t opcode) const { return known_[opcode / 8] & (1u << (opcode % 8)); }

  // Room for one more operation, zeroed; nullptr when the queue is full. It must be filled in before any other call.
  io_uring_sqe* Next();

  // How many more operations there is room for.
  uint32_t Room() const;

  // Queued and not yet accepted by the kernel.
  uint32_t Queued() const;

  // Accepted by the kernel and not yet reaped.
  uint32_t InKernel() const;

  // Submits what was queued. Returns 0, or an errno of the ring as a whole: EAGAIN and EBUSY mean that the rest stays
  // in the queue until something was reaped. With kernel polling it waits for room, if there is none.
  int Submit();

  // Submits what was queued, and waits until so many completions can be reaped, or as many as the kernel has. A
  // negative timeout never ends. Returns 0, also at the timeout, or an errno. The caller must reap afterwards: what
  // completes meanwhile is not signalled.
  int Wait(uint32_t minimum, double timeout_ms);

  // Reaps one completion into `*user_data` and `*result`. Returns false when there is none. When the queue is empty,
  // the kernel is asked for completions that it has kept or not posted yet.
  bool Reap(uint64_t* user_data, int32_t* result);
  // The errno of asking the kernel, returned once; 0 when there was none.
  int TakeReapError();

  // The kernel signals this descriptor when there is something to reap. The signalled side must reap until there is
  // nothing left. Returns 0 or an errno.
  int RegisterEventFd(int event_fd);

  // Registers an empty table for buffers, whose entries can be set and cleared. Each returns 0 or an errno.
  int RegisterBufferTable(uint32_t places);
  int UpdateBuffer(uint32_t place, void* data, size_t length);

  void CountFixedBuffer() { counters_.fixed_buffer++; }

 private:
  int Setup(const RingSetup& setup, io_uring_params* params);
  int Map(const io_uring_params& params);
  int Probe();
  int RegisterLifeline();
  int TryToEnter();
  void AwaitEnd() const;
  int Enter(uint32_t to_submit, uint32_t minimum, uint32_t flags, double timeout_ms);
  int EnterUnsignalled(uint32_t to_submit, uint32_t minimum, uint32_t flags, double timeout_ms);
  void Publish();
  bool NeedsWakeup() const;
  uint32_t Ready() const;

  int fd_ = -1;
  // One end of a pipe whose other end only the ring has: it is hung up when the kernel has ended the ring, not before.
  int lifeline_ = -1;
  uint32_t setup_flags_ = 0;
  void* rings_ = nullptr;
  size_t rings_bytes_ = 0;
  io_uring_sqe* sqes_ = nullptr;
  size_t sqes_bytes_ = 0;

  uint32_t* sq_head_ = nullptr;  // moved by the kernel
  uint32_t* sq_tail_ = nullptr;
  uint32_t* sq_flags_ = nullptr;
  uint32_t sq_mask_ = 0;
  uint32_t sq_entries_ = 0;
  uint32_t sq_next_ = 0;  // after the last operation queued; ahead of *sq_tail_ until that is published

  uint32_t* cq_head_ = nullptr;
  uint32_t* cq_tail_ = nullptr;  // moved by the kernel
  uint32_t* cq_flags_ = nullptr;
  uint32_t cq_mask_ = 0;
  uint32_t cq_entries_ = 0;
  io_uring_cqe* cqes_ = nullptr;
  uint32_t reaped_ = 0;
  int reap_error_ = 0;

  uint8_t known_[32] = {};
  RingCounters counters_;
};

}  // namespace walstack

#endif  // WALSTACK_HAS_IO_URING

#endif  // WALSTACK_KERNEL_RING_H_
