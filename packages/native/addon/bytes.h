// Loads integers from memory that may be written to meanwhile (a mapping, a SharedArrayBuffer): each load reads its
// bytes exactly once, so that the value that was checked is the one that is used.
#ifndef WALSTACK_BYTES_H_
#define WALSTACK_BYTES_H_

#include <cstdint>

namespace walstack {

#if defined(__GNUC__)

namespace unaligned {

struct __attribute__((packed, may_alias)) U16 {
  uint16_t value;
};
struct __attribute__((packed, may_alias)) U32 {
  uint32_t value;
};
struct __attribute__((packed, may_alias)) U64 {
  uint64_t value;
};

template <typename Word>
inline auto Load(const uint8_t* at) {
  return reinterpret_cast<const volatile Word*>(at)->value;
}

}  // namespace unaligned

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
inline uint32_t LoadUint16(const uint8_t* at) { return unaligned::Load<unaligned::U16>(at); }
inline uint32_t LoadUint32(const uint8_t* at) { return unaligned::Load<unaligned::U32>(at); }
inline uint64_t LoadUint64(const uint8_t* at) { return unaligned::Load<unaligned::U64>(at); }
#else
inline uint32_t LoadUint16(const uint8_t* at) { return __builtin_bswap16(unaligned::Load<unaligned::U16>(at)); }
inline uint32_t LoadUint32(const uint8_t* at) { return __builtin_bswap32(unaligned::Load<unaligned::U32>(at)); }
inline uint64_t LoadUint64(const uint8_t* at) { return __builtin_bswap64(unaligned::Load<unaligned::U64>(at)); }
#endif

#else

// For compilers without packed structs: byte by byte.
inline uint32_t LoadUint16(const uint8_t* at) {
  const volatile uint8_t* bytes = at;
  const uint32_t low = bytes[0];
  return low | static_cast<uint32_t>(bytes[1]) << 8;
}
inline uint32_t LoadUint32(const uint8_t* at) {
  const uint32_t low = LoadUint16(at);
  return low | LoadUint16(at + 2) << 16;
}
inline uint64_t LoadUint64(const uint8_t* at) {
  const uint64_t low = LoadUint32(at);
  return low | static_cast<uint64_t>(LoadUint32(at + 4)) << 32;
}

#endif

inline uint32_t LoadUint8(const uint8_t* at) { return *static_cast<const volatile uint8_t*>(at); }

inline void StoreUint32(uint8_t* at, uint32_t value) {
  at[0] = static_cast<uint8_t>(value);
  at[1] = static_cast<uint8_t>(value >> 8);
  at[2] = static_cast<uint8_t>(value >> 16);
  at[3] = static_cast<uint8_t>(value >> 24);
}

}  // namespace walstack

#endif  // WALSTACK_BYTES_H_
