// One pass over the frames of a range: fill in their checksums, or find and verify them. docs/format.md says what a
// frame is; the same passes in JavaScript are in packages/codec. No part of Node in it.
#ifndef WALSTACK_FRAMES_H_
#define WALSTACK_FRAMES_H_

#include <cstddef>
#include <cstdint>

namespace walstack {

// Length and checksum, four bytes each.
constexpr size_t kFrameHeaderBytes = 8;

constexpr uint32_t kMinimumBlockBytes = 512;
constexpr uint32_t kMaximumBlockBytes = 65536;

// Where frames are looked for. The bytes may be anything, and may change while they are looked at.
struct FrameRange {
  uint8_t* bytes;
  // Offsets in `bytes`; start <= end.
  size_t start;
  size_t end;
  // Offset in the file of bytes[start]; at most 2^53.
  uint64_t position;
  // A power of two.
  uint32_t block_bytes;
  // The checksum of what every frame's data continues.
  uint32_t seed;
};

struct Sealed {
  size_t count;
  // Behind the frame that reaches over the end of the range; 0 when there is none.
  uint64_t overrun;
};

// Fills in the checksums of all frames. Stops before one that reaches over the end.
Sealed SealFrames(const FrameRange& range);

// Puts the offset of each valid frame into `offsets`, at most `room - 1` of them, and behind them where it stopped: at
// the end of the range, where `offsets` is full, or where a frame should be and is not. Returns the number of frames.
// `room` is at least 1. The offsets must fit: `range.end` < 2^32.
size_t ScanFrames(const FrameRange& range, uint32_t* offsets, size_t room);

}  // namespace walstack

#endif  // WALSTACK_FRAMES_H_
