// Calls the fuzz entry point with generated inputs, some of them noise, most of them frames with something wrong.
// Everything follows from a seed, so that a failure can be reproduced:
//
//   driver                       the inputs of seed 1, then those of a fresh seed
//   driver --seed S --runs N     N inputs of seed S

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "frames.h"
#include "model.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

// Read by the sanitizers: they abort on any finding, as a failed expectation does.
extern "C" const char* __asan_default_options() { return "abort_on_error=1"; }
extern "C" const char* __ubsan_default_options() { return "abort_on_error=1:print_stacktrace=1"; }

namespace {

uint64_t g_seed = 0;
uint64_t g_input = 0;

void SayWhichInput(int) {
  std::fprintf(stderr, "driver: input %llu of --seed %llu\n", static_cast<unsigned long long>(g_input),
               static_cast<unsigned long long>(g_seed));
}

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  // 0 up to, not including, `limit`.
  uint64_t Below(uint64_t limit) { return engine_() % limit; }

  bool Once(uint64_t in) { return Below(in) == 0; }

  template <typename T>
  T OneOf(std::initializer_list<T> values) {
    return values.begin()[Below(values.size())];
  }

  uint64_t Any() { return engine_(); }

 private:
  std::mt19937_64 engine_;
};

void Put(model::Bytes& bytes, size_t at, uint64_t value, size_t width) {
  for (size_t index = 0; index < width && at + index < bytes.size(); index++) {
    bytes[at + index] = static_cast<uint8_t>(value >> (8 * index));
  }
}

// What the fuzz entry point takes off the front of its input.
struct Question {
  uint8_t what;
  uint8_t where;
  uint8_t log_block;
  uint16_t position;
  uint32_t seed;
  uint16_t from;
  uint16_t to;
  uint8_t room;
  uint8_t fields[24];

  uint64_t block_bytes() const { return uint64_t{512} << log_block % 8; }

  uint64_t file_position() const {
    return (where & 16) != 0 ? (uint64_t{1} << 53) - 1 - position : position;
  }

  model::Bytes Before(const model::Bytes& memory) const {
    model::Bytes input;
    const auto take = [&input](uint64_t value, size_t width) {
      for (size_t index = width; index > 0; index--) input.push_back(static_cast<uint8_t>(value >> (8 * (index - 1))));
    };
    take(what, 1);
    take(where, 1);
    take(log_block, 1);
    take(position, 2);
    take(seed, 4);
    take(from, 2);
    take(to, 2);
    take(room, 1);
    for (const uint8_t field : fields) take(field, 1);
    input.insert(input.end(), memory.begin(), memory.end());
    return input;
  }
};

Question AnyQuestion(Random& random) {
  Question question{};
  question.what = static_cast<uint8_t>(random.Any());
  question.where = static_cast<uint8_t>(random.Any());
  question.log_block = static_cast<uint8_t>(random.OneOf({0, 0, 0, 1, 3, 7}));
  question.position = static_cast<uint16_t>(random.Once(2) ? random.Below(4) * 512 : random.Any());
  question.seed = static_cast<uint32_t>(random.Any());
  question.from = static_cast<uint16_t>(random.Any());
  question.to = static_cast<uint16_t>(random.Any());
  question.room = static_cast<uint8_t>(random.OneOf<uint64_t>({0, 1, 2, 30, random.Any()}));
  for (uint8_t& field : question.fields) field = static_cast<uint8_t>(random.Once(2) ? random.Below(30) : random.Any());
  return question;
}

model::Bytes Noise(Random& random, size_t length) {
  model::Bytes bytes(length);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.Any());
  return bytes;
}

// Records and marks as a writer lays them out, their LSNs mostly small, so that durability proofs are found among them.
// Some of their fields are inconsistent.
model::Bytes Frames(Random& random, const Question& question) {
  model::Bytes bytes;
  const uint64_t count = random.Below(12);
  for (uint64_t frame = 0; frame < count; frame++) {
    const uint64_t block = question.block_bytes();
    const uint64_t left = block - (question.file_position() + bytes.size()) % block;
    if (left < 8 || random.Once(6)) bytes.resize(bytes.size() + (left < 4096 ? left : 0));
    const size_t start = bytes.size();
    const bool is_mark = random.Once(5);
    const size_t meta = random.Once(3) ? random.Below(40) : 0;
    const size_t payload = random.OneOf<uint64_t>({0, 1, random.Below(30), random.Below(300), random.Below(2000)});
    const size_t length = is_mark ? 24 : 24 + meta + payload;
    const model::Bytes data = Noise(random, length);
    bytes.resize(start + 8);
    bytes.insert(bytes.end(), data.begin(), data.end());
    Put(bytes, start, length, 4);
    const uint64_t lag = is_mark && !random.Once(3) ? 1 : 1 + random.Below(5);
    const uint64_t flags = is_mark ? 16 : random.Below(2);
    const bool is_odd = random.Once(3);
    Put(bytes, start + 8, random.OneOf<uint64_t>({1, 1, 1, uint64_t{1} << 33, (uint64_t{1} << 53) - 20}) + random.Below(40), 8);
    Put(bytes, start + 20, is_odd ? random.OneOf<uint64_t>({0, 1, 2, 0xfffffffe, 0xffffffff}) : lag, 4);
    Put(bytes, start + 24, is_mark ? 0 : meta, 2);
    Put(bytes, start + 26, is_odd ? random.OneOf<uint64_t>({2, 4, 8, 12, 14, 16, 17, 31, 32}) : flags, 1);
    Put(bytes, start + 27, is_odd ? random.Below(4) : 0, 1);
  }
  return bytes;
}

void Damage(Random& random, model::Bytes& bytes) {
  if (bytes.empty()) return;
  const size_t at = random.Below(bytes.size());
  switch (random.Below(6)) {
    case 0:
      bytes[at] ^= static_cast<uint8_t>(1 << random.Below(8));
      break;
    case 1:
      bytes.resize(at);
      break;
    case 2:
      Put(bytes, at, random.OneOf<uint64_t>({0, 1, 23, 0x7fffffff, 0x80000000, 0xfffffff7, 0xfffffff8, 0xffffffff}), 4);
      break;
    case 3:
      std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), random.Below(bytes.size() - at + 1), uint8_t{0});
      break;
    case 4:
      Put(bytes, at, random.OneOf<uint64_t>({0, uint64_t{1} << 53, ~uint64_t{0}, random.Any()}), 8);
      break;
    default: {
      const model::Bytes noise = Noise(random, random.Below(50));
      bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at), noise.begin(), noise.end());
    }
  }
}

model::Bytes MakeInput(Random& random) {
  const Question question = AnyQuestion(random);
  if (random.Once(8)) return Noise(random, random.Below(80));
  if (random.Once(6)) return question.Before(Noise(random, random.Below(1000)));
  model::Bytes memory = Frames(random, question);
  if (!random.Once(4)) {
    model::SealFrames(memory, {0, memory.size(), question.file_position(), question.block_bytes(), question.seed});
  }
  for (uint64_t damages = random.OneOf<uint64_t>({0, 0, 1, 1, 2, 5}); damages > 0; damages--) Damage(random, memory);
  return question.Before(memory);
}

void Run(uint64_t seed, uint64_t runs) {
  std::printf("driver: --seed %llu --runs %llu\n", static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(runs));
  std::fflush(stdout);
  Random random(seed);
  g_seed = seed;
  for (g_input = 1; g_input <= runs; g_input++) {
    const model::Bytes input = MakeInput(random);
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
}

// Another thread keeps changing the lengths while the frames are sealed and scanned, for a moment each: what was checked
// must be what is used. The sanitizer sees where it is not.
void RunOnChangingMemory(uint64_t rounds) {
  std::printf("driver: %llu passes over memory that changes meanwhile\n", static_cast<unsigned long long>(rounds));
  std::fflush(stdout);
  constexpr size_t kBytes = 4096;
  constexpr size_t kFrameBytes = 40;
  constexpr size_t kFrames = kBytes / kFrameBytes;
  // How many other lengths are changed before one is restored.
  constexpr size_t kMoment = 8;
  const std::unique_ptr<uint8_t[]> memory(new uint8_t[kBytes]());
  volatile uint8_t* const shared = memory.get();
  for (size_t frame = 0; frame < kFrames; frame++) shared[frame * kFrameBytes] = kFrameBytes - 8;
  std::atomic<bool> is_over{false};
  std::atomic<uint64_t> turns{0};
  std::thread other([shared, &is_over, &turns] {
    while (!is_over.load(std::memory_order_relaxed)) {
      for (size_t frame = 0; frame < kFrames + kMoment; frame++) {
        if (frame < kFrames) shared[frame * kFrameBytes + 3] = 0xff;
        if (frame >= kMoment) shared[(frame - kMoment) * kFrameBytes + 3] = 0;
      }
      turns.fetch_add(1, std::memory_order_relaxed);
    }
  });
  uint32_t offsets[200];
  // Makes sure that the two threads run concurrently, however busy the machine is.
  for (uint64_t round = 0; round < rounds || turns.load(std::memory_order_relaxed) < rounds; round++) {
    const walstack::FrameRange range{memory.get(), 0, kBytes, 0, 65536, 7};
    walstack::SealFrames(range);
    walstack::ScanFrames(range, offsets, sizeof offsets / sizeof offsets[0]);
  }
  is_over.store(true);
  other.join();
}

bool ReadNumber(const char* text, uint64_t* number) {
  char* behind = nullptr;
  *number = std::strtoull(text, &behind, 10);
  return *text != '\0' && *behind == '\0';
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGABRT, SayWhichInput);
  uint64_t seed = 0;
  uint64_t runs = 20000;
  bool has_seed = false;
  for (int index = 1; index < argc; index += 2) {
    const std::string name = argv[index];
    uint64_t* const number = name == "--seed" ? &seed : name == "--runs" ? &runs : nullptr;
    if (number == nullptr || index + 1 == argc || !ReadNumber(argv[index + 1], number)) {
      std::fprintf(stderr, "usage: driver [--seed S] [--runs N]\n");
      return 2;
    }
    has_seed = has_seed || number == &seed;
  }
  if (has_seed) {
    Run(seed, runs);
  } else {
    Run(1, runs);
    Run(std::random_device{}(), runs);
    RunOnChangingMemory(5 * runs);
  }
  return 0;
}
