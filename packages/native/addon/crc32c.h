// CRC32C (Castagnoli, as in iSCSI, RFC 3720). No part of Node in it: the fuzzer and the sanitizers run it alone.
#ifndef WALSTACK_CRC32C_H_
#define WALSTACK_CRC32C_H_

#include <cstddef>
#include <cstdint>

namespace walstack {

// One way of working out a checksum.
struct Crc32cMethod {
  const char* name;
  // Continues `crc`, the checksum of what stands before; 0 begins.
  uint32_t (*run)(uint32_t crc, const uint8_t* data, size_t length);
  // Whether this processor has what it takes.
  bool (*is_supported)();
};

// All that were compiled in, the fastest first. The last one, tables, is supported everywhere.
extern const Crc32cMethod kCrc32cMethods[];
extern const size_t kCrc32cMethodCount;

// The fastest method of this processor, chosen when the library is loaded.
extern const Crc32cMethod& kCrc32c;

inline uint32_t Crc32c(uint32_t crc, const uint8_t* data, size_t length) { return kCrc32c.run(crc, data, length); }

}  // namespace walstack

#endif  // WALSTACK_CRC32C_H_
