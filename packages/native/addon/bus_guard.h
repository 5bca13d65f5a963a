// Makes mappings of files survive unreadable pages: access to memory after the end of a truncated file, or on a sector
// that cannot be read, is a SIGBUS for the thread. Here the page becomes zeros, and a flag of the mapping is set. Other
// SIGBUS signals are passed on to the previous handler.
#ifndef WALSTACK_BUS_GUARD_H_
#define WALSTACK_BUS_GUARD_H_

#include <cstddef>
#include <cstdint>

namespace walstack {

struct GuardedRange;

// Guards a mapping that begins at a page. `broken` becomes 1 when a page of it could not be read; both addresses must
// stay valid until the range is no longer guarded. Returns nullptr where a SIGBUS cannot be caught.
GuardedRange* GuardMemory(uint8_t* address, size_t length, uint8_t* broken);

// To be called before the memory is unmapped.
void UnguardMemory(GuardedRange* range);

}  // namespace walstack

#endif  // WALSTACK_BUS_GUARD_H_
