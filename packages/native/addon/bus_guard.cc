#include "bus_guard.h"

#ifdef __linux__

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "allocation.h"

namespace walstack {

// Never freed, only reused: the handler may read it at any time. The version is odd while the fields change. A thread
// that faults in a mapping finds the range of that mapping unchanged, because a mapping stays guarded as long as it is
// read.
struct GuardedRange {
  std::atomic<uint64_t> version{0};
  std::atomic<uintptr_t> start{0};
  std::atomic<size_t> length{0};
  std::atomic<uint8_t*> broken{nullptr};
  // All ranges ever made, for the handler.
  GuardedRange* next = nullptr;
  // Unused ranges, for the next mapping.
  GuardedRange* next_free = nullptr;
};

namespace {

const uintptr_t kPageBytes = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));

// The handler takes no lock; guarding and unguarding take this one. It is no std::mutex: headers that were made for
// glibc make one that does not lock out of it where the C library is musl.
pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

class Lock {
 public:
  Lock() { pthread_mutex_lock(&mutex); }
  ~Lock() { pthread_mutex_unlock(&mutex); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
};

GuardedRange* free_ranges = nullptr;

std::atomic<GuardedRange*> ranges{nullptr};

// The previous handler of SIGBUS; never freed.
std::atomic<const struct sigaction*> previous{nullptr};

void Set(GuardedRange* range, uintptr_t start, size_t length, uint8_t* broken) {
  const uint64_t version = range->version.load(std::memory_order_relaxed);
  range->version.store(version + 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  range->start.store(start, std::memory_order_relaxed);
  range->length.store(length, std::memory_order_relaxed);
  range->broken.store(broken, std::memory_order_relaxed);
  range->version.store(version + 2, std::memory_order_release);
}

// The flag of the mapping that contains an address; nullptr for other memory.
uint8_t* FlagOf(uintptr_t address) {
  for (GuardedRange* range = ranges.load(std::memory_order_acquire); range != nullptr; range = range->next) {
    const uint64_t version = range->version.load(std::memory_order_acquire);
    const uintptr_t start = range->start.load(std::memory_order_relaxed);
    const size_t length = range->length.load(std::memory_order_relaxed);
    uint8_t* const broken = range->broken.load(std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_acquire);
    if ((version & 1) != 0 || range->version.load(std::memory_order_relaxed) != version) continue;
    if (address >= start && address - start < length) return broken;
  }
  return nullptr;
}

// Replaces an unreadable page by zeros. The flag is set first: a reader that sees the zeros also sees the flag.
bool Replace(uintptr_t address) {
  // The last page of a mapping belongs to it as a whole.
  const uintptr_t page = address & ~(kPageBytes - 1);
  uint8_t* const broken = FlagOf(address);
  if (broken == nullptr) return false;
  __atomic_store_n(broken, 1, __ATOMIC_SEQ_CST);
  // The system call directly: wrappers of a library or a sanitizer must not run in a signal handler.
#ifdef SYS_mmap
  const long mapped = syscall(SYS_mmap, page, kPageBytes, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0L);
#else
  const long mapped = syscall(SYS_mmap2, page, kPageBytes, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0L);
#endif
  return mapped != -1;
}

// Whether a signal was raised by an instruction, which runs again when the handler returns.
bool IsFault(const siginfo_t* info) { return info->si_code > 0 && info->si_code != SI_KERNEL; }

void HandToPrevious(int number, siginfo_t* info, void* context) {
  const struct sigaction* before = previous.load(std::memory_order_acquire);
  if ((before->sa_flags & SA_SIGINFO) != 0) {
    before->sa_sigaction(number, info, context);
    return;
  }
  if (before->sa_handler == SIG_IGN && !IsFault(info)) return;
  if (before->sa_handler != SIG_DFL && before->sa_handler != SIG_IGN) {
    before->sa_handler(number);
    return;
  }
  // The process ends as without this handler: the instruction faults again, or the signal that was sent is raised
  // again, and delivered when the handler has returned.
  signal(number, SIG_DFL);
  if (!IsFault(info)) raise(number);
}

void OnBusError(int number, siginfo_t* info, void* context) {
  const int error = errno;
  const bool replaced = (info->si_code == BUS_ADRERR || info->si_code == BUS_MCEERR_AR) &&
                        Replace(reinterpret_cast<uintptr_t>(info->si_addr));
  if (!replaced) HandToPrevious(number, info, context);
  errno = error;
}

// Makes sure that this handler receives SIGBUS. A handler that was installed later stays, and may pass on signals; the
// default one is replaced again.
bool Install() {
  struct sigaction now;
  if (sigaction(SIGBUS, nullptr, &now) != 0) return false;
  const bool has_information = (now.sa_flags & SA_SIGINFO) != 0;
  if (has_information && now.sa_sigaction == OnBusError) return true;
  const bool is_none = !has_information && (now.sa_handler == SIG_DFL || now.sa_handler == SIG_IGN);
  if (previous.load(std::memory_order_relaxed) != nullptr && !is_none) return true;
  const auto* before = new (kNothrow) struct sigaction(now);
  if (before == nullptr) return false;
  const struct sigaction* replaced = previous.exchange(before, std::memory_order_acq_rel);
  struct sigaction own = {};
  own.sa_sigaction = OnBusError;
  own.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&own.sa_mask);
  if (sigaction(SIGBUS, &own, nullptr) == 0) return true;
  previous.store(replaced, std::memory_order_release);
  return false;
}

}  // namespace

GuardedRange* GuardMemory(uint8_t* address, size_t length, uint8_t* broken) {
  const Lock lock;
  if (!Install()) return nullptr;
  GuardedRange* range = free_ranges;
  if (range != nullptr) {
    free_ranges = range->next_free;
  } else {
    range = new (kNothrow) GuardedRange;
    if (range == nullptr) return nullptr;
    range->next = ranges.load(std::memory_order_relaxed);
    ranges.store(range, std::memory_order_release);
  }
  Set(range, reinterpret_cast<uintptr_t>(address), length, broken);
  return range;
}

void UnguardMemory(GuardedRange* range) {
  if (range == nullptr) return;
  const Lock lock;
  Set(range, 0, 0, nullptr);
  range->next_free = free_ranges;
  free_ranges = range;
}

}  // namespace walstack

#else

namespace walstack {

GuardedRange* GuardMemory(uint8_t*, size_t, uint8_t*) { return nullptr; }

void UnguardMemory(GuardedRange*) {}

}  // namespace walstack

#endif  // __linux__
