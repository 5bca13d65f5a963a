// One input: its first bytes choose the call, the rest is the memory that it reads. The addon's passes must return what
// the model returns, and a sanitizer checks that they access nothing else. The driver calls this with inputs that it
// generates; libFuzzer, which comes with clang, generates its own:
//
//   clang++ -std=c++17 -g -O1 -fsanitize=fuzzer,address,undefined -I addon -o bytes_fuzz fuzz/bytes_fuzz.cc
//     fuzz/model.cc addon/crc32c.cc addon/frames.cc addon/durability_proof.cc
//   ./bytes_fuzz -max_len=4096

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "crc32c.h"
#include "durability_proof.h"
#include "frames.h"
#include "model.h"

namespace {

void Fail(const char* what) {
  std::fprintf(stderr, "bytes_fuzz: %s\n", what);
  std::abort();
}

void Expect(bool holds, const char* what) {
  if (!holds) Fail(what);
}

// Takes numbers off the front of an input; zeros when there is nothing left.
class Front {
 public:
  Front(const uint8_t* data, size_t size) : data_(data), left_(size) {}

  uint64_t Take(size_t bytes) {
    uint64_t value = 0;
    for (; bytes > 0; bytes--) {
      value = value << 8 | (left_ > 0 ? *data_ : 0);
      if (left_ > 0) {
        data_++;
        left_--;
      }
    }
    return value;
  }

  model::Bytes Rest() const { return model::Bytes(data_, data_ + left_); }

 private:
  const uint8_t* data_;
  size_t left_;
};

// A copy that ends where its memory ends, and begins anywhere in a word: an access beyond it is detected at once.
class Memory {
 public:
  Memory(const model::Bytes& bytes, size_t shift)
      : memory_(new uint8_t[shift + bytes.size()]), bytes_(memory_.get() + shift), size_(bytes.size()) {
    if (size_ > 0) std::memcpy(bytes_, bytes.data(), size_);
  }

  uint8_t* bytes() const { return bytes_; }

  bool Equals(const model::Bytes& other) const {
    return size_ == other.size() && (size_ == 0 || std::memcmp(bytes_, other.data(), size_) == 0);
  }

 private:
  std::unique_ptr<uint8_t[]> memory_;
  uint8_t* bytes_;
  size_t size_;
};

void CheckCrc32c(const model::Bytes& bytes, size_t shift, size_t start, size_t end, uint32_t seed) {
  const Memory memory(bytes, shift);
  const uint32_t expected = model::Crc32c(seed, bytes.data() + start, end - start);
  for (size_t index = 0; index < walstack::kCrc32cMethodCount; index++) {
    const walstack::Crc32cMethod& method = walstack::kCrc32cMethods[index];
    if (!method.is_supported()) continue;
    Expect(method.run(seed, memory.bytes() + start, end - start) == expected, method.name);
    const size_t middle = start + (end - start) / 3;
    const uint32_t first = method.run(seed, memory.bytes() + start, middle - start);
    Expect(method.run(first, memory.bytes() + middle, end - middle) == expected, "a checksum in two parts");
  }
}

void CheckScan(const model::Bytes& bytes, size_t shift, const model::Range& asked, size_t room) {
  const Memory memory(bytes, shift);
  const walstack::FrameRange range{memory.bytes(),
                                   asked.start,
                                   asked.end,
                                   asked.position,
                                   static_cast<uint32_t>(asked.block_bytes),
                                   asked.seed};
  const std::unique_ptr<uint32_t[]> offsets(new uint32_t[room]);
  const size_t count = walstack::ScanFrames(range, offsets.get(), room);
  const model::Scan expected = model::ScanFrames(bytes, asked, room - 1);
  Expect(count == expected.frames.size(), "the number of frames");
  for (size_t index = 0; index < count; index++) {
    Expect(offsets[index] == expected.frames[index], "the offset of a frame");
  }
  Expect(offsets[count] == expected.stop, "where the scan stops");
  Expect(memory.Equals(bytes), "a scan changes nothing");
}

void CheckSeal(const model::Bytes& bytes, size_t shift, const model::Range& asked) {
  const Memory memory(bytes, shift);
  const walstack::FrameRange range{memory.bytes(),
                                   asked.start,
                                   asked.end,
                                   asked.position,
                                   static_cast<uint32_t>(asked.block_bytes),
                                   asked.seed};
  const walstack::Sealed sealed = walstack::SealFrames(range);
  model::Bytes after = bytes;
  const model::Seal expected = model::SealFrames(after, asked);
  Expect(sealed.count == expected.count, "the number of sealed frames");
  Expect(sealed.overrun == expected.overrun, "the frame that reaches over the end");
  Expect(memory.Equals(after), "what sealing changes");
  CheckScan(after, shift, asked, expected.count + 2);
}

void CheckDurabilityProof(const model::Bytes& bytes, size_t shift, size_t start, size_t end, Front& front) {
  const Memory memory(bytes, shift);
  const uint64_t beyond = front.Take(1) % 4 == 0 ? front.Take(7) >> 4 : front.Take(1);
  const uint64_t bytes_left = end - start + beyond;
  const uint64_t lsn = front.Take(1) % 4 == 0 ? front.Take(7) >> 2 : front.Take(1);
  const uint64_t last_lsn = front.Take(1) % 4 == 0 ? front.Take(7) >> 2 : lsn + front.Take(1);
  const size_t found = walstack::FindDurabilityProof(memory.bytes(), start, end, static_cast<int64_t>(bytes_left),
                                              static_cast<int64_t>(lsn), static_cast<int64_t>(last_lsn));
  const int64_t expected = model::FindDurabilityProof(bytes, start, end, bytes_left, lsn, last_lsn);
  Expect(found == (expected == -1 ? walstack::kNoProof : static_cast<size_t>(expected)), "the evidence");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Front front(data, size);
  const uint64_t question = front.Take(1);
  const uint64_t where = front.Take(1);
  const size_t shift = where % 16;
  model::Range range{};
  range.block_bytes = uint64_t{512} << front.Take(1) % 8;
  range.position = (where & 16) != 0 ? (uint64_t{1} << 53) - 1 - front.Take(2) : front.Take(2);
  range.seed = static_cast<uint32_t>(front.Take(4));
  const uint64_t from = front.Take(2);
  const uint64_t to = front.Take(2);
  const size_t room = 2 + front.Take(1);
  Front fields = front;
  front.Take(24);
  const model::Bytes bytes = front.Rest();
  range.end = (where & 32) != 0 ? to % (bytes.size() + 1) : bytes.size();
  range.start = (where & 64) != 0 ? from % (range.end + 1) : 0;
  switch (question % 4) {
    case 0:
      CheckCrc32c(bytes, shift, range.start, range.end, range.seed);
      break;
    case 1:
      CheckScan(bytes, shift, range, room);
      break;
    case 2:
      CheckSeal(bytes, shift, range);
      break;
    default:
      CheckDurabilityProof(bytes, shift, range.start, range.end, fields);
  }
  return 0;
}
