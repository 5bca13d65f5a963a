// The search for a frame after an unreadable one. docs/format.md, "Torn tail or corruption?", describes its purpose;
// packages/codec has the same in JavaScript. Does not depend on Node.
#ifndef WALSTACK_DURABILITY_PROOF_H_
#define WALSTACK_DURABILITY_PROOF_H_

#include <cstddef>
#include <cstdint>

namespace walstack {

constexpr size_t kNoProof = SIZE_MAX;

// The first offset from `start` on, with 32 bytes before `end`, where the fields of a frame would, if its checksum is
// valid, prove that an LSN >= `lsn` had been durable; kNoProof when there is none. `bytes_left` is what the file has
// from bytes[start] on; `last_lsn` is the highest LSN that a frame there can have. The last three parameters are at
// most 2^54.
size_t FindDurabilityProof(const uint8_t* bytes, size_t start, size_t end, int64_t bytes_left, int64_t lsn, int64_t last_lsn);

}  // namespace walstack

#endif  // WALSTACK_DURABILITY_PROOF_H_
