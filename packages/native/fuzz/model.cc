#include "model.h"

namespace model {

namespace {

uint64_t Unsigned(const Bytes& bytes, size_t at, size_t width) {
  uint64_t value = 0;
  for (size_t index = width; index > 0; index--) value = value * 256 + bytes.at(at + index - 1);
  return value;
}

// Offset in the memory of the first block boundary after `at`.
uint64_t Boundary(const Range& range, uint64_t at) {
  const uint64_t position = range.position + (at - range.start);
  return at + (position / range.block_bytes + 1) * range.block_bytes - position;
}

}  // namespace

uint32_t Crc32c(uint32_t crc, const uint8_t* data, size_t length) {
  crc = ~crc;
  for (size_t index = 0; index < length; index++) {
    crc ^= data[index];
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78 : 0);
  }
  return ~crc;
}

Scan ScanFrames(const Bytes& bytes, const Range& range, size_t most) {
  Scan scan{{}, 0};
  uint64_t at = range.start;
  while (at < range.end && scan.frames.size() < most) {
    const uint64_t boundary = Boundary(range, at);
    const bool may_start = boundary - at > 7;
    if (may_start && range.end - at < 8) break;
    const uint64_t length = may_start ? Unsigned(bytes, at, 4) : 0;
    if (length == 0) {
      at = boundary;
      continue;
    }
    const uint64_t behind = at + 8 + length;
    if (behind > range.end) break;
    if (Crc32c(range.seed, bytes.data() + at + 8, length) != Unsigned(bytes, at + 4, 4)) break;
    scan.frames.push_back(at);
    at = behind;
  }
  scan.stop = at < range.end ? at : range.end;
  return scan;
}

Seal SealFrames(Bytes& bytes, const Range& range) {
  Seal seal{0, 0};
  uint64_t at = range.start;
  while (at + 8 <= range.end) {
    const uint64_t boundary = Boundary(range, at);
    const uint64_t length = boundary - at > 7 ? Unsigned(bytes, at, 4) : 0;
    if (length == 0) {
      at = boundary;
      continue;
    }
    if (at + 8 + length > range.end) {
      seal.overrun = at + 8 + length;
      break;
    }
    const uint32_t crc = Crc32c(range.seed, bytes.data() + at + 8, length);
    for (int byte = 0; byte < 4; byte++) bytes.at(at + 4 + byte) = static_cast<uint8_t>(crc >> (8 * byte));
    seal.count++;
    at += 8 + length;
  }
  return seal;
}

int64_t FindDurabilityProof(const Bytes& bytes, size_t start, size_t end, uint64_t bytes_left, uint64_t lsn,
                     uint64_t last_lsn) {
  for (uint64_t at = start; at + 32 <= end; at++) {
    const uint64_t left = bytes_left > at - start ? bytes_left - (at - start) : 0;
    const uint64_t length = Unsigned(bytes, at, 4);
    const uint64_t own = Unsigned(bytes, at + 8, 8);
    const uint64_t lag = Unsigned(bytes, at + 20, 4);
    const uint64_t meta = Unsigned(bytes, at + 24, 2);
    const uint64_t flags = Unsigned(bytes, at + 26, 1);
    const uint64_t codec = Unsigned(bytes, at + 27, 1);

    const bool length_fits = length >= 24 && length + 8 <= left;
    const bool is_known = flags < 32 && codec < 3;
    const bool is_safe = own < (uint64_t{1} << 53);
    const bool lag_proves = lag != 0 && lag != 0xffffffff && own >= lag && own - lag >= lsn;
    const bool can_stand_there = own >= lsn && own <= last_lsn;
    const bool is_mark = flags == 16 && length == 24 && meta == 0 && codec == 0 && lag == 1;
    const uint64_t fixed = 24 + ((flags & 8) != 0 ? 24 : 0) + ((flags & 4) != 0 ? 16 : 0);
    const bool is_record = (flags & 16) == 0 && ((flags & 2) != 0) == (codec != 0) && fixed + meta <= length;
    if (length_fits && is_known && is_safe && lag_proves && can_stand_there && (is_mark || is_record)) {
      return static_cast<int64_t>(at);
    }
  }
  return -1;
}

}  // namespace model
