#include "frames.h"

#include "bytes.h"
#include "crc32c.h"

namespace walstack {

namespace {

// Bytes left in the block of bytes[at]: from 1 to the whole block.
inline size_t LeftInBlock(const FrameRange& range, size_t at) {
  const uint64_t position = range.position + (at - range.start);
  return range.block_bytes - static_cast<size_t>(position & (range.block_bytes - 1));
}

// `at + by`, but not beyond the end.
inline size_t Forward(const FrameRange& range, size_t at, size_t by) {
  return by < range.end - at ? at + by : range.end;
}

}  // namespace

Sealed SealFrames(const FrameRange& range) {
  size_t count = 0;
  size_t at = range.start;
  while (range.end - at >= kFrameHeaderBytes) {
    const size_t left = LeftInBlock(range, at);
    uint8_t* const frame = range.bytes + at;
    const uint32_t length = left < kFrameHeaderBytes ? 0 : LoadUint32(frame);
    if (length == 0) {
      at = Forward(range, at, left);
      continue;
    }
    if (length > range.end - at - kFrameHeaderBytes) {
      return {count, static_cast<uint64_t>(at) + kFrameHeaderBytes + length};
    }
    StoreUint32(frame + 4, Crc32c(range.seed, frame + kFrameHeaderBytes, length));
    count++;
    at += kFrameHeaderBytes + length;
  }
  return {count, 0};
}

size_t ScanFrames(const FrameRange& range, uint32_t* offsets, size_t room) {
  const size_t most = room - 1;
  size_t count = 0;
  size_t at = range.start;
  while (count < most && at < range.end) {
    const size_t left = LeftInBlock(range, at);
    const uint8_t* const frame = range.bytes + at;
    if (left >= kFrameHeaderBytes) {
      const size_t rest = range.end - at;
      if (rest < kFrameHeaderBytes) break;
      const uint32_t length = LoadUint32(frame);
      if (length != 0) {
        if (length > rest - kFrameHeaderBytes) break;
        if (Crc32c(range.seed, frame + kFrameHeaderBytes, length) != LoadUint32(frame + 4)) break;
        offsets[count++] = static_cast<uint32_t>(at);
        at += kFrameHeaderBytes + length;
        continue;
      }
    }
    at = Forward(range, at, left);
  }
  offsets[count] = static_cast<uint32_t>(at);
  return count;
}

}  // namespace walstack
