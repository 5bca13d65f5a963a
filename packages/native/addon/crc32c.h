// CRC32C (Castagnoli, as in iSCSI, RFC 3720). Does not depend on Node: the fuzzer and the sanitizers run it alone.
#ifndef WALSTACK_CRC32C_H_
#define WALSTACK_CRC32C_H_

#include <cstddef>
#include <cstdint>

namespace walstack {

// One method of computing a checksum.
struct Crc32cMethod {
  const char* name;
  // Continues `crc`, the checksum of the preceding bytes; 0 at the beginning.
  uint32_t (*run)(uint32_t crc, const uint8_t* data, size_t length);
  // Whether this processor supports it.
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
