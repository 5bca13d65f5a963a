// A simple and slow implementation of the passes, following docs/format.md, with which the addon's are compared.
#ifndef WALSTACK_FUZZ_MODEL_H_
#define WALSTACK_FUZZ_MODEL_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace model {

using Bytes = std::vector<uint8_t>;

uint32_t Crc32c(uint32_t crc, const uint8_t* data, size_t length);

struct Range {
  size_t start;
  size_t end;
  uint64_t position;
  uint64_t block_bytes;
  uint32_t seed;
};

struct Scan {
  std::vector<size_t> frames;
  size_t stop;
};

Scan ScanFrames(const Bytes& bytes, const Range& range, size_t most);

struct Seal {
  size_t count;
  uint64_t overrun;
};

Seal SealFrames(Bytes& bytes, const Range& range);

// The offset, or -1.
int64_t FindDurabilityProof(const Bytes& bytes, size_t start, size_t end, uint64_t bytes_left, uint64_t lsn,
                     uint64_t last_lsn);

}  // namespace model

#endif  // WALSTACK_FUZZ_MODEL_H_
