// The functions on bytes for JavaScript. Arguments are bytes and numbers, no objects: converting them is most of the
// cost of a short call.
#include "bytes_binding.h"

#include <cstdio>

#include "crc32c.h"
#include "durability_proof.h"
#include "frames.h"
#include "support.h"

namespace walstack {

namespace {

// A forged file can lead to LSNs above the largest safe integer.
constexpr double kBeyondEveryLsn = 18014398509481984.0;

bool GetUint32(napi_env env, napi_value value, const char* name, uint32_t* integer) {
  double number;
  if (!GetInteger(env, value, name, 0, 4294967295.0, &number)) return false;
  *integer = static_cast<uint32_t>(number);
  return true;
}

// `end` is checked first, so that an error names the wrong argument and not a consequence of it.
bool GetRange(napi_env env, napi_value start_value, napi_value end_value, size_t most, size_t* start, size_t* end) {
  double from;
  double to;
  if (!GetInteger(env, end_value, "end", 0, static_cast<double>(most), &to)) return false;
  if (!GetInteger(env, start_value, "start", 0, to, &from)) return false;
  *start = static_cast<size_t>(from);
  *end = static_cast<size_t>(to);
  return true;
}

// The first six arguments of sealFrames and scanFrames: bytes, start, end, position, blockBytes, seed.
bool GetFrameRange(napi_env env, const napi_value* values, double largest_end, FrameRange* range) {
  Bytes bytes;
  double position;
  uint32_t block_bytes;
  if (!GetBytes(env, values[0], "bytes", &bytes)) return false;
  const size_t most = static_cast<double>(bytes.length) > largest_end ? static_cast<size_t>(largest_end) : bytes.length;
  if (!GetRange(env, values[1], values[2], most, &range->start, &range->end)) return false;
  if (!GetInteger(env, values[3], "position", 0, kMaxSafeInteger, &position)) return false;
  if (!GetUint32(env, values[4], "blockBytes", &block_bytes)) return false;
  if (block_bytes < kMinimumBlockBytes || block_bytes > kMaximumBlockBytes ||
      (block_bytes & (block_bytes - 1)) != 0) {
    ThrowOutOfRange(env, "\"blockBytes\" must be a power of two from 512 to 65536");
    return false;
  }
  if (!GetUint32(env, values[5], "seed", &range->seed)) return false;
  range->bytes = bytes.data;
  range->position = static_cast<uint64_t>(position);
  range->block_bytes = block_bytes;
  return true;
}

// crc32c(bytes, seed, start, end)
napi_value Crc32cCall(napi_env env, napi_callback_info info) {
  napi_value values[4];
  Bytes bytes;
  uint32_t seed;
  size_t start;
  size_t end;
  GetArguments(env, info, 4, values);
  if (!GetBytes(env, values[0], "bytes", &bytes)) return nullptr;
  if (!GetUint32(env, values[1], "seed", &seed)) return nullptr;
  if (!GetRange(env, values[2], values[3], bytes.length, &start, &end)) return nullptr;
  return MakeNumber(env, Crc32c(seed, bytes.data + start, end - start));
}

// sealFrames(bytes, start, end, position, blockBytes, seed)
napi_value SealFramesCall(napi_env env, napi_callback_info info) {
  napi_value values[6];
  FrameRange range;
  GetArguments(env, info, 6, values);
  if (!GetFrameRange(env, values, kMaxSafeInteger, &range)) return nullptr;
  const Sealed sealed = SealFrames(range);
  if (sealed.overrun != 0) {
    char message[128];
    std::snprintf(message, sizeof message, "\"end\" must be at least %.0f, where the last frame ends, received %.0f",
                  static_cast<double>(sealed.overrun), static_cast<double>(range.end));
    ThrowOutOfRange(env, message);
    return nullptr;
  }
  return MakeNumber(env, static_cast<double>(sealed.count));
}

// scanFrames(bytes, start, end, position, blockBytes, seed, offsets)
napi_value ScanFramesCall(napi_env env, napi_callback_info info) {
  napi_value values[7];
  FrameRange range;
  uint32_t* offsets;
  size_t room;
  GetArguments(env, info, 7, values);
  if (!GetFrameRange(env, values, 4294967295.0, &range)) return nullptr;
  if (!GetUint32Array(env, values[6], "offsets", &offsets, &room)) return nullptr;
  if (room < 2) {
    ThrowOutOfRange(env, "\"offsets\" must have room for at least 2");
    return nullptr;
  }
  return MakeNumber(env, static_cast<double>(ScanFrames(range, offsets, room)));
}

// findDurabilityProof(bytes, start, end, bytesLeft, lsn, lastLsn)
napi_value FindDurabilityProofCall(napi_env env, napi_callback_info info) {
  napi_value values[6];
  Bytes bytes;
  size_t start;
  size_t end;
  double bytes_left;
  double lsn;
  double last_lsn;
  GetArguments(env, info, 6, values);
  if (!GetBytes(env, values[0], "bytes", &bytes)) return nullptr;
  if (!GetRange(env, values[1], values[2], bytes.length, &start, &end)) return nullptr;
  if (!GetInteger(env, values[3], "bytesLeft", 0, kMaxSafeInteger, &bytes_left)) return nullptr;
  if (!GetInteger(env, values[4], "lsn", 0, kBeyondEveryLsn, &lsn)) return nullptr;
  if (!GetInteger(env, values[5], "lastLsn", 0, kBeyondEveryLsn, &last_lsn)) return nullptr;
  const size_t found = FindDurabilityProof(bytes.data, start, end, static_cast<int64_t>(bytes_left),
                                    static_cast<int64_t>(lsn), static_cast<int64_t>(last_lsn));
  return MakeNumber(env, found == kNoProof ? -1 : static_cast<double>(found));
}

}  // namespace

void ExportBytes(napi_env env, napi_value exports) {
  ExportFunction(env, exports, "crc32c", Crc32cCall);
  ExportFunction(env, exports, "sealFrames", SealFramesCall);
  ExportFunction(env, exports, "scanFrames", ScanFramesCall);
  ExportFunction(env, exports, "findDurabilityProof", FindDurabilityProofCall);
}

}  // namespace walstack
