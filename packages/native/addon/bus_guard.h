// Mappings of files that survive what a mapping cannot prevent: memory behind the end of a file that was cut, or on a
// sector that cannot be read, is a SIGBUS for the thread that touches it. Here it becomes a page of zeros and a flag that
// says so. Other SIGBUS go to the handler that was there before.
#ifndef WALSTACK_BUS_GUARD_H_
#define WALSTACK_BUS_GUARD_H_

#include <cstddef>
#include <cstdint>

namespace walstack {

struct GuardedRange;

// Guards a mapping that begins at a page. `broken` becomes 1 when a page of it could not be read; both stay where they are
// until the range is no longer guarded. Returns nullptr where a SIGBUS cannot be caught.
GuardedRange* GuardMemory(uint8_t* address, size_t length, uint8_t* broken);

// To be called before the memory is unmapped.
void UnguardMemory(GuardedRange* range);

}  // namespace walstack

#endif  // WALSTACK_BUS_GUARD_H_
