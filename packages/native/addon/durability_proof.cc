#include "durability_proof.h"

#include "bytes.h"
#include "frames.h"

namespace walstack {

namespace {

constexpr uint32_t kRecordHeaderBytes = 24;
constexpr uint32_t kScopeBytes = 24;
constexpr uint32_t kEncryptionTagBytes = 16;
constexpr size_t kMarkFrameBytes = kFrameHeaderBytes + kRecordHeaderBytes;

// A durable lag that proves nothing.
constexpr uint32_t kLagUnknown = 0xffffffff;

constexpr uint64_t kMaxSafeLsn = (uint64_t{1} << 53) - 1;

constexpr uint32_t kCompressed = 2;
constexpr uint32_t kEncrypted = 4;
constexpr uint32_t kScoped = 8;
constexpr uint32_t kMark = 16;
constexpr uint32_t kKnownFlags = 31;
constexpr uint32_t kLastCodec = 2;

// Whether the fields of a frame are consistent.
bool FieldsFit(uint32_t length, uint32_t lag, uint32_t meta_length, uint32_t flags, uint32_t codec) {
  if (lag == 0 || flags > kKnownFlags || codec > kLastCodec) return false;
  if ((flags & kMark) != 0) {
    return flags == kMark && length == kRecordHeaderBytes && meta_length == 0 && codec == 0 && lag == 1;
  }
  if (((flags & kCompressed) != 0) != (codec != 0)) return false;
  const uint32_t fixed = kRecordHeaderBytes + ((flags & kScoped) != 0 ? kScopeBytes : 0) +
                         ((flags & kEncrypted) != 0 ? kEncryptionTagBytes : 0);
  return fixed + meta_length <= length;
}

}  // namespace

size_t FindDurabilityProof(const uint8_t* bytes, size_t start, size_t end, int64_t bytes_left, int64_t lsn,
                    int64_t last_lsn) {
  // The longest length word that fits at `start`; one less for each byte further on.
  int64_t longest = bytes_left - static_cast<int64_t>(kFrameHeaderBytes);
  for (size_t at = start; end - at >= kMarkFrameBytes; at++, longest--) {
    const uint8_t* const frame = bytes + at;
    const uint32_t length = LoadUint32(frame);
    if (length < kRecordHeaderBytes || length > longest) continue;
    const uint64_t candidate = LoadUint64(frame + 8);
    if (candidate > kMaxSafeLsn) continue;
    const auto own = static_cast<int64_t>(candidate);
    if (own < lsn || own > last_lsn) continue;
    const uint32_t lag = LoadUint32(frame + 20);
    if (lag == kLagUnknown || own - static_cast<int64_t>(lag) < lsn) continue;
    if (FieldsFit(length, lag, LoadUint16(frame + 24), LoadUint8(frame + 26), LoadUint8(frame + 27))) return at;
  }
  return kNoProof;
}

}  // namespace walstack
