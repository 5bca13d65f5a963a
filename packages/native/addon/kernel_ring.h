// A ring of io_uring: its system calls and the memory that is shared with the kernel, and nothing of Node.
//
// One thread owns it. Operations are put into the submission queue (`Next`), handed to the kernel (`Submit`, `Wait`) and
// come back in the completion queue (`Reap`). Every operation that the kernel has taken comes back exactly once.
#ifndef WALSTACK_KERNEL_RING_H_
#define WALSTACK_KERNEL_RING_H_

#include "has_io_uring.h"

#ifdef WALSTACK_HAS_IO_URING

#include <cstddef>
#include <cstdint>

namespace walstack {

// When the kernel finishes off what the disk has answered.
enum class TaskWork : uint32_t {
  kBest = 0,          // cooperative where the kernel knows it, else interrupting
  kDeferred = 1,      // when the owner asks: DEFER_TASKRUN (Linux 6.1)
  kCooperative = 2,   // when the owner enters the kernel for whatever reason: COOP_TASKRUN (Linux 5.19)
  kInterrupting = 3,  // at once, interrupting the owner
  kNone = 4,          // not in the owner's time: the kernel's own thread does it
};

struct RingSetup {
  uint32_t entries = 0;             // of the submission queue
  uint32_t completion_entries = 0;  // of the completion queue
  bool kernel_polling = false;      // a thread of the kernel looks for submissions
  uint32_t polling_idle_ms = 0;     // and sleeps after so long without any
  TaskWork task_work = TaskWork::kBest;
};

// What has happened since the ring was made.
struct RingCounters {
  uint64_t enters = 0;        // io_uring_enter system calls
  uint64_t submitted = 0;     // operations handed to the kernel
  uint64_t completed = 0;     // operations that came back
  uint64_t queue_full = 0;    // times that the submission queue had no room
  uint64_t overflows = 0;     // times that the completion queue had no room, and the kernel kept completions back
  uint64_t refused = 0;       // times that the kernel would not take submissions (EAGAIN, EBUSY)
  uint64_t interrupted = 0;   // times that the kernel returned before what was waited for (EINTR among them)
  uint64_t fixed_buffer = 0;  // operations on registered buffers
};

class KernelRing {
 public:
  KernelRing() = default;
  ~KernelRing() { Close(); }
  KernelRing(const KernelRing&) = delete;
  KernelRing& operator=(const KernelRing&) = delete;

  // Makes the ring. Returns 0, or an errno; `*missing` then names what this kernel lacks, where that is the reason.
  int Open(const RingSetup& setup, const char** missing);

  // Cancels what can be cancelled, waits until the kernel has done with the rest, and gives everything back. What was
  // not handed over yet never happens. May block. The kernel has done with all memory and all files when this returns,
  // also when it can no longer be entered.
  void Close();

  bool is_open() const { return fd_ >= 0; }
  int fd() const { return fd_; }
  uint32_t setup_flags() const { return setup_flags_; }
  uint32_t completion_entries() const { return cq_entries_; }
  const RingCounters& counters() const { return counters_; }

  // Whether the kernel knows an operation.
  bool Knows(uint8_t opcode) const { return known_[opcode / 8] & (1u << (opcode % 8)); }

  // Room for one more operation, zeroed; nullptr when the queue is full. It must be filled in before any other call.
  io_uring_sqe* Next();

  // How many more operations have room.
  uint32_t Room() const;

  // Put in and not yet taken by the kernel.
  uint32_t Queued() const;

  // Taken by the kernel and not yet reaped.
  uint32_t InKernel() const;

  // Hands over what was put in. Returns 0, or an errno that is not the fault of any one operation: EAGAIN and EBUSY mean
  // that the rest stays in the queue until something was reaped. With kernel polling it waits for room, if there is none.
  int Submit();

  // Hands over what was put in, and waits until so many completions can be reaped, or as many as the kernel has. A
  // negative timeout never ends. Returns 0, also at the timeout, or an errno. Whoever waits must reap: what comes back
  // meanwhile is not signalled.
  int Wait(uint32_t minimum, double timeout_ms);

  // Takes a completion that is there; `*user_data` and `*result` are its. Returns false when there is none. The kernel is
  // asked for what it has kept back, or not finished off yet, when the queue is empty.
  bool Reap(uint64_t* user_data, int32_t* result);
  // What went wrong while the kernel was asked, once; 0 when nothing did.
  int TakeReapError();

  // The kernel signals this descriptor when there is something to reap. Whoever is told must reap until there is nothing.
  // Returns 0 or an errno.
  int RegisterEventFd(int event_fd);

  // A table of so many places for buffers, empty; a place can be filled and emptied. Each returns 0 or an errno.
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
  // Of a pipe whose other end only the ring has: it is hung up when the kernel has ended the ring, and not before.
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
  uint32_t sq_next_ = 0;  // behind the last operation put in; ahead of *sq_tail_ until that is published

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
