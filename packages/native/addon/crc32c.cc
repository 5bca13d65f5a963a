#include "crc32c.h"

#include <array>
#include <cstring>

// Platforms whose processors may have an instruction for it. Whether they do is checked at run time: so the file is
// compiled for the base processor, and the instruction is written as assembler.
#if defined(__GNUC__) && defined(__x86_64__)
#define WALSTACK_CRC32C_SSE42
#include <cpuid.h>
#elif defined(_MSC_VER) && defined(_M_X64)
#define WALSTACK_CRC32C_SSE42
#include <intrin.h>
#elif defined(__GNUC__) && defined(__aarch64__) && defined(__AARCH64EL__)
#define WALSTACK_CRC32C_ARMV8
#if defined(__linux__)
#include <sys/auxv.h>
#endif
#endif

namespace walstack {

namespace {

// Polynomials over GF(2) are bit-reflected: the highest bit is x^0, as in the checksum itself.
constexpr uint32_t kCastagnoli = 0x82f63b78;
constexpr uint32_t kOne = 0x80000000;

constexpr uint32_t TimesX(uint32_t polynomial) {
  return (polynomial & 1) != 0 ? (polynomial >> 1) ^ kCastagnoli : polynomial >> 1;
}

constexpr uint32_t Times(uint32_t a, uint32_t b) {
  uint32_t product = 0;
  for (uint32_t bit = kOne; bit != 0; bit >>= 1) {
    if ((a & bit) != 0) product ^= b;
    b = TimesX(b);
  }
  return product;
}

using ByteTable = std::array<uint32_t, 256>;

// Slicing-by-8 (Kounavis and Berry, 2005): table n has the checksum of each byte followed by n zero bytes.
constexpr std::array<ByteTable, 8> MakeTables() {
  std::array<ByteTable, 8> tables{};
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; bit++) crc = TimesX(crc);
    tables[0][byte] = crc;
  }
  for (size_t zeros = 1; zeros < 8; zeros++) {
    for (size_t byte = 0; byte < 256; byte++) {
      const uint32_t previous = tables[zeros - 1][byte];
      tables[zeros][byte] = (previous >> 8) ^ tables[0][previous & 0xff];
    }
  }
  return tables;
}

constexpr std::array<ByteTable, 8> kTables = MakeTables();

uint32_t RunTables(uint32_t crc, const uint8_t* data, size_t length) {
  const auto& t = kTables;
  crc = ~crc;
  for (; length >= 8; data += 8, length -= 8) {
    crc ^= static_cast<uint32_t>(data[0]) | static_cast<uint32_t>(data[1]) << 8 |
           static_cast<uint32_t>(data[2]) << 16 | static_cast<uint32_t>(data[3]) << 24;
    crc = t[7][crc & 0xff] ^ t[6][(crc >> 8) & 0xff] ^ t[5][(crc >> 16) & 0xff] ^ t[4][crc >> 24] ^ t[3][data[4]] ^
          t[2][data[5]] ^ t[1][data[6]] ^ t[0][data[7]];
  }
  for (; length > 0; data++, length--) crc = (crc >> 8) ^ t[0][(crc ^ *data) & 0xff];
  return ~crc;
}

bool IsAlwaysSupported() { return true; }

#if defined(WALSTACK_CRC32C_SSE42) || defined(WALSTACK_CRC32C_ARMV8)

#if defined(WALSTACK_CRC32C_ARMV8)

constexpr char kInstructionName[] = "armv8";

inline uint64_t Step64(uint64_t crc, uint64_t word) {
  asm(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(crc) : "r"(word));
  return crc;
}

inline uint64_t Step32(uint64_t crc, uint32_t word) {
  asm(".arch_extension crc\n\tcrc32cw %w0, %w0, %w1" : "+r"(crc) : "r"(word));
  return crc;
}

inline uint64_t Step16(uint64_t crc, uint16_t word) {
  asm(".arch_extension crc\n\tcrc32ch %w0, %w0, %w1" : "+r"(crc) : "r"(static_cast<uint32_t>(word)));
  return crc;
}

inline uint64_t Step8(uint64_t crc, uint8_t byte) {
  asm(".arch_extension crc\n\tcrc32cb %w0, %w0, %w1" : "+r"(crc) : "r"(static_cast<uint32_t>(byte)));
  return crc;
}

bool HasInstruction() {
#if defined(__APPLE__)
  return true;
#elif defined(__linux__)
  constexpr unsigned long kHwcapCrc32 = 1UL << 7;
  return (getauxval(AT_HWCAP) & kHwcapCrc32) != 0;
#else
  return false;
#endif
}

#else

constexpr char kInstructionName[] = "sse4.2";

#if defined(_MSC_VER) && !defined(__clang__)

inline uint64_t Step64(uint64_t crc, uint64_t word) { return _mm_crc32_u64(crc, word); }

inline uint64_t Step32(uint64_t crc, uint32_t word) { return _mm_crc32_u32(static_cast<uint32_t>(crc), word); }

inline uint64_t Step16(uint64_t crc, uint16_t word) { return _mm_crc32_u16(static_cast<uint32_t>(crc), word); }

inline uint64_t Step8(uint64_t crc, uint8_t byte) { return _mm_crc32_u8(static_cast<uint32_t>(crc), byte); }

bool HasInstruction() {
  int registers[4];
  __cpuid(registers, 1);
  return (registers[2] & (1 << 20)) != 0;
}

#else

inline uint64_t Step64(uint64_t crc, uint64_t word) {
  asm("crc32q %1, %0" : "+r"(crc) : "r"(word));
  return crc;
}

inline uint64_t Step32(uint64_t crc, uint32_t word) {
  asm("crc32l %1, %k0" : "+r"(crc) : "r"(word));
  return crc;
}

inline uint64_t Step16(uint64_t crc, uint16_t word) {
  asm("crc32w %1, %k0" : "+r"(crc) : "r"(word));
  return crc;
}

inline uint64_t Step8(uint64_t crc, uint8_t byte) {
  asm("crc32b %1, %k0" : "+r"(crc) : "q"(byte));
  return crc;
}

bool HasInstruction() {
  // Not __builtin_cpu_supports, which is a function of the compiler's library.
  unsigned a, b, c, d;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_SSE4_2) != 0;
}

#endif

#endif

template <typename Word>
inline Word Load(const uint8_t* at) {
  Word word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

// Tables that advance a checksum over `kBytes` zero bytes, one table for each byte of the checksum.
template <size_t kBytes>
constexpr std::array<ByteTable, 4> MakeZerosTables() {
  // x^(8 * kBytes), by squaring.
  uint32_t factor = kOne;
  uint32_t square = kOne >> 8;
  for (size_t bytes = kBytes; bytes > 0; bytes >>= 1) {
    if ((bytes & 1) != 0) factor = Times(factor, square);
    square = Times(square, square);
  }
  std::array<ByteTable, 4> tables{};
  for (uint32_t place = 0; place < 4; place++) {
    for (uint32_t byte = 0; byte < 256; byte++) tables[place][byte] = Times(byte << (8 * place), factor);
  }
  return tables;
}

template <size_t kBytes>
constexpr std::array<ByteTable, 4> kZeros = MakeZerosTables<kBytes>();

template <size_t kBytes>
inline uint64_t AppendZeros(uint64_t crc) {
  const auto& t = kZeros<kBytes>;
  return t[0][crc & 0xff] ^ t[1][(crc >> 8) & 0xff] ^ t[2][(crc >> 16) & 0xff] ^ t[3][(crc >> 24) & 0xff];
}

// The instruction has a latency of three cycles and a throughput of one per cycle: three stretches computed in
// parallel, and combined at the end, use it fully.
template <size_t kStretch>
inline uint64_t RunThreeStretches(uint64_t crc, const uint8_t*& data, size_t& length) {
  static_assert(kStretch % 8 == 0, "a stretch has whole words");
  for (; length >= 3 * kStretch; data += 3 * kStretch, length -= 3 * kStretch) {
    uint64_t second = 0;
    uint64_t third = 0;
    for (size_t at = 0; at < kStretch; at += 8) {
      crc = Step64(crc, Load<uint64_t>(data + at));
      second = Step64(second, Load<uint64_t>(data + kStretch + at));
      third = Step64(third, Load<uint64_t>(data + 2 * kStretch + at));
    }
    crc = AppendZeros<kStretch>(AppendZeros<kStretch>(crc) ^ second) ^ third;
  }
  return crc;
}

// Measured: combining shorter stretches costs more than they save.
constexpr size_t kLongStretch = 2048;
constexpr size_t kMiddleStretch = 128;
constexpr size_t kShortStretch = 64;

uint32_t RunInstruction(uint32_t seed, const uint8_t* data, size_t length) {
  uint64_t crc = static_cast<uint32_t>(~seed);
  crc = RunThreeStretches<kLongStretch>(crc, data, length);
  crc = RunThreeStretches<kMiddleStretch>(crc, data, length);
  crc = RunThreeStretches<kShortStretch>(crc, data, length);
  for (; length >= 8; data += 8, length -= 8) crc = Step64(crc, Load<uint64_t>(data));
  if ((length & 4) != 0) {
    crc = Step32(crc, Load<uint32_t>(data));
    data += 4;
  }
  if ((length & 2) != 0) {
    crc = Step16(crc, Load<uint16_t>(data));
    data += 2;
  }
  if ((length & 1) != 0) crc = Step8(crc, *data);
  return static_cast<uint32_t>(~crc);
}

#endif

const Crc32cMethod& Choose() {
  const Crc32cMethod* method = kCrc32cMethods;
  while (!method->is_supported()) method++;
  return *method;
}

}  // namespace

const Crc32cMethod kCrc32cMethods[] = {
#if defined(WALSTACK_CRC32C_SSE42) || defined(WALSTACK_CRC32C_ARMV8)
    {kInstructionName, RunInstruction, HasInstruction},
#endif
    {"tables", RunTables, IsAlwaysSupported},
};

const size_t kCrc32cMethodCount = sizeof kCrc32cMethods / sizeof kCrc32cMethods[0];

const Crc32cMethod& kCrc32c = Choose();

}  // namespace walstack
