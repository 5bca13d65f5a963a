// Passes over the frames of a range: filling in their checksums, or finding and verifying them. docs/format.md defines
// frames; packages/codec has the same passes in JavaScript. Does not depend on Node.
#ifndef WALSTACK_FRAMES_H_
#define WALSTACK_FRAMES_H_

#include <cstddef>
#include <cstdint>

namespace walstack {

// Length and checksum, four bytes each.
constexpr size_t kFrameHeaderBytes = 8;

constexpr uint32_t kMinimumBlockBytes = 512;
constexpr uint32_t kMaximumBlockBytes = 65536;

// The range in which frames are searched. The bytes may be anything, and may change meanwhile.
struct FrameRange {
  uint8_t* bytes;
  // Offsets in `bytes`; start <= end.
  size_t start;
  size_t end;
  // Offset in the file of bytes[start]; at most 2^53.
  uint64_t position;
  // A power of two.
  uint32_t block_bytes;
  // The seed of every frame's checksum.
  uint32_t seed;
};

struct Sealed {
  size_t count;
  // The end of a frame that extends beyond the range; 0 when there is none.
  uint64_t overrun;
};

// Fills in the checksums of all frames. Stops before a frame that extends beyond the range.
Sealed SealFrames(const FrameRange& range);

// Puts the offset of each valid frame into `offsets`, at most `room - 1` of them, and after them where it stopped: at
// the end of the range, where `offsets` is full, or where a frame should be and is not. Returns the number of frames.
// `room` is at least 1. The offsets must fit: `range.end` < 2^32.
size_t ScanFrames(const FrameRange& range, uint32_t* offsets, size_t room);

}  // namespace walstack

#endif  // WALSTACK_FRAMES_H_
