// The same work as src/bytes-work.ts does, with nothing of JavaScript in it: how fast it could go on this machine.
//
//   bytes_loop crc32c|crc32c-100|seal|append-seal|scan <milliseconds>
//
// Prints how many bytes (crc32c) or records (the others) it did in a second.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "crc32c.h"
#include "frames.h"

namespace {

constexpr size_t kArenaBytes = 1 << 20;
constexpr size_t kBlockBytes = 4096;
constexpr size_t kPayloadBytes = 100;
constexpr size_t kFrameBytes = 32 + kPayloadBytes;
constexpr uint32_t kSeed = 0x12345678;

struct Arena {
  std::vector<uint8_t> bytes = std::vector<uint8_t>(kArenaBytes);
  size_t records = 0;
  size_t end = 0;

  walstack::FrameRange range() { return {bytes.data(), 0, end, 0, kBlockBytes, kSeed}; }
};

void Put(uint8_t* at, uint64_t value, size_t width) { std::memcpy(at, &value, width); }

void Append(Arena& arena, const uint8_t* payload) {
  arena.records = 0;
  size_t at = 0;
  for (;;) {
    const size_t left = kBlockBytes - at % kBlockBytes;
    if (left < 8) {
      std::memset(&arena.bytes[at], 0, left);
      at += left;
    }
    if (at + kFrameBytes > kArenaBytes) break;
    uint8_t* const frame = &arena.bytes[at];
    arena.records++;
    Put(frame, kFrameBytes - 8, 8);
    Put(frame + 8, arena.records, 8);
    Put(frame + 16, 1, 4);
    Put(frame + 20, arena.records, 4);
    Put(frame + 24, 0, 4);
    Put(frame + 28, 5, 4);
    std::memcpy(frame + 32, payload, kPayloadBytes);
    at += kFrameBytes;
  }
  arena.end = at;
}

void Expect(bool holds) {
  if (holds) return;
  std::fprintf(stderr, "bytes_loop: a wrong result\n");
  std::exit(1);
}

double PerSecond(const std::function<size_t()>& once, double milliseconds) {
  using Clock = std::chrono::steady_clock;
  size_t done = 0;
  const auto begin = Clock::now();
  double passed = 0;
  do {
    done += once();
    passed = std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
  } while (passed < milliseconds);
  return static_cast<double>(done) / passed * 1000;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const std::string work = argv[1];
  const double milliseconds = std::strtod(argv[2], nullptr);
  Arena arena;
  std::vector<uint8_t> payload(kPayloadBytes, 0x77);
  Append(arena, payload.data());
  std::function<size_t()> once;
  std::vector<uint32_t> offsets(arena.records + 1);
  if (work == "crc32c" || work == "crc32c-100") {
    const size_t bytes = work == "crc32c" ? 65536 : 100;
    const size_t times = work == "crc32c" ? 16 : 10000;
    const uint32_t expected = walstack::Crc32c(0, arena.bytes.data(), bytes);
    once = [&arena, bytes, times, expected] {
      for (size_t time = 0; time < times; time++) {
        Expect(walstack::Crc32c(0, arena.bytes.data(), bytes) == expected);
        // The next one is worked out anew.
        asm volatile("" : : : "memory");
      }
      return bytes * times;
    };
  } else if (work == "seal") {
    once = [&arena] {
      Expect(walstack::SealFrames(arena.range()).count == arena.records);
      return arena.records;
    };
  } else if (work == "append-seal") {
    once = [&arena, &payload] {
      Append(arena, payload.data());
      Expect(walstack::SealFrames(arena.range()).count == arena.records);
      return arena.records;
    };
  } else if (work == "scan") {
    walstack::SealFrames(arena.range());
    once = [&arena, &offsets] {
      Expect(walstack::ScanFrames(arena.range(), offsets.data(), offsets.size()) == arena.records);
      return arena.records;
    };
  } else {
    return 2;
  }
  PerSecond(once, 20);
  std::printf("%.0f\n", PerSecond(once, milliseconds));
  return 0;
}
