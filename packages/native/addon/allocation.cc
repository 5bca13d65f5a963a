// `new` and `delete` of the addon, by the C library. They are all that it would need of a C++ library at run time: without
// one, its binary loads whatever C++ library Node.js was built with, and with none.
#ifdef __linux__

#include <cstddef>
#include <cstdlib>
#include <new>

void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return std::malloc(bytes); }

void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept { return std::malloc(bytes); }

// There are no exceptions: where nothing was prepared for it, a lack of memory ends the process.
void* operator new(std::size_t bytes) {
  void* memory = std::malloc(bytes);
  if (memory == nullptr) std::abort();
  return memory;
}

void operator delete(void* memory) noexcept { std::free(memory); }

void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

void operator delete[](void* memory) noexcept { std::free(memory); }

void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

#endif  // __linux__
