#include "mapping.h"

#ifdef _WIN32

namespace walstack {

void ExportMapping(napi_env, napi_value) {}

}  // namespace walstack

#else

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "bus_guard.h"
#include "file_status.h"
#include "support.h"

#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif

#if defined(__linux__) && !defined(MADV_POPULATE_READ)
#define MADV_POPULATE_READ 22  // since Linux 5.14
#endif

namespace walstack {

namespace {

#ifdef __linux__
using Residency = unsigned char;
#else
using Residency = char;
#endif

constexpr napi_type_tag kMappedFileTag = {0x6f2c1d0b9a7e4835, 0x8d41f5a3c6b27e90};

// The index is the number that JavaScript uses.
constexpr int kAdvice[] = {MADV_NORMAL, MADV_SEQUENTIAL, MADV_RANDOM, MADV_WILLNEED, MADV_DONTNEED};
constexpr int kAdviceCount = sizeof kAdvice / sizeof kAdvice[0];

// How many pages are queried at a time.
constexpr size_t kPagesAtATime = 4096;

const size_t kPageBytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));

// One mapping. Three references keep it: the handle in JavaScript, the memory of the ArrayBuffer, and the witness,
// which shows where that memory is when the environment ends.
struct MappedFile {
  uint8_t* address = nullptr;
  size_t length = 0;
  // Where in the file the mapping begins.
  uint64_t start = 0;
  // A duplicate of the file's number, and with it the file's locks; -1 once unmap was called.
  int fd = -1;
  int holders = 0;
  // The ArrayBuffer, weakly.
  napi_ref buffer = nullptr;
  napi_env env = nullptr;
  bool mapped = false;
  bool left_mapped = false;
  // An ArrayBuffer of this one byte, which lives as long as the memory: 1 when a page could not be read and became
  // zeros.
  napi_ref witness = nullptr;
  uint8_t broken = 0;
  GuardedRange* guard = nullptr;
};

void LetGo(MappedFile* file) {
  file->holders -= 1;
  if (file->holders == 0) delete file;
}

void CloseFile(MappedFile* file) {
  if (file->fd >= 0) close(file->fd);
  file->fd = -1;
}

void UnmapMemory(MappedFile* file) {
  UnguardMemory(file->guard);
  file->guard = nullptr;
  munmap(file->address, file->length);
  file->mapped = false;
}

// Whether the ArrayBuffer that mapFile returned still has the memory.
bool IsInItsBuffer(MappedFile* file) {
  napi_env env = file->env;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return false;
  napi_value buffer = nullptr;
  bool detached = true;
  napi_get_reference_value(env, file->buffer, &buffer);
  if (buffer != nullptr) napi_is_detached_arraybuffer(env, buffer, &detached);
  napi_close_handle_scope(env, scope);
  return !detached;
}

// When an environment ends, Node.js detaches every ArrayBuffer that an addon has made and finalizes its memory, from
// the newest to the oldest, even when the memory was moved into another ArrayBuffer and transferred to another thread
// that still reads it. Only in that case does this run while the memory is mapped; moved memory stays mapped until the
// process ends.
void FinalizeWitness(napi_env, void*, void* hint) {
  auto* file = static_cast<MappedFile*>(hint);
  file->left_mapped = file->mapped && !IsInItsBuffer(file);
  // It stays guarded as long, which needs this object.
  if (file->left_mapped) file->holders += 1;
  LetGo(file);
}

// No ArrayBuffer has the memory any more. It is unmapped already where unmap() has detached its ArrayBuffer.
void FinalizeMemory(napi_env env, void*, void* hint) {
  auto* file = static_cast<MappedFile*>(hint);
  if (file->mapped && !file->left_mapped) UnmapMemory(file);
  file->mapped = false;
  if (file->buffer != nullptr) napi_delete_reference(env, file->buffer);
  if (file->witness != nullptr) napi_delete_reference(env, file->witness);
  LetGo(file);
}

void FinalizeHandle(napi_env, void* data, void*) {
  auto* file = static_cast<MappedFile*>(data);
  CloseFile(file);
  LetGo(file);
}

napi_value ThrowCoded(napi_env env, const char* code, const char* message) {
  napi_throw_error(env, code, message);
  return nullptr;
}

// A mapping that is in use, from the handle among the arguments; nullptr with an error pending.
MappedFile* GetMapping(napi_env env, napi_value handle) {
  bool tagged = false;
  void* data = nullptr;
  if (napi_check_object_type_tag(env, handle, &kMappedFileTag, &tagged) != napi_ok || !tagged ||
      napi_unwrap(env, handle, &data) != napi_ok) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "The \"handle\" argument must be that of a mapping");
    return nullptr;
  }
  auto* file = static_cast<MappedFile*>(data);
  if (file->fd >= 0) return file;
  ThrowCoded(env, "ERR_WALSTACK_UNMAPPED", "This file is no longer mapped: map it again");
  return nullptr;
}

struct Range {
  size_t offset;
  size_t length;

  size_t end() const { return offset + length; }
};

// A mapping, and a range of it, from the first three arguments; nullptr with an error pending.
MappedFile* GetMappedRange(napi_env env, const napi_value* arguments, Range* range) {
  MappedFile* file = GetMapping(env, arguments[0]);
  if (file == nullptr) return nullptr;
  double offset;
  double length;
  if (!GetInteger(env, arguments[1], "offset", 0, static_cast<double>(file->length), &offset)) return nullptr;
  if (!GetInteger(env, arguments[2], "length", 0, static_cast<double>(file->length) - offset, &length)) return nullptr;
  *range = {static_cast<size_t>(offset), static_cast<size_t>(length)};
  // Nothing to do for an empty mapping.
  if (!file->mapped) *range = {0, 0};
  return file;
}

size_t RoundUp(size_t position) { return (position + kPageBytes - 1) / kPageBytes * kPageBytes; }

// All pages that overlap a range.
Range PagesOf(Range range) {
  if (range.length == 0) return range;
  const size_t start = range.offset / kPageBytes * kPageBytes;
  return {start, RoundUp(range.end()) - start};
}

// The pages that are completely in a range; the last page of a file counts when the range extends to its end.
Range WholePagesOf(const MappedFile* file, Range range) {
  const size_t start = RoundUp(range.offset);
  const size_t end = range.end() == file->length ? RoundUp(range.end()) : range.end() / kPageBytes * kPageBytes;
  return start < end ? Range{start, end - start} : Range{start, 0};
}

// Calls visit(first byte, residency of each page, pages) for stretches of a range of pages. Returns the error's number.
template <typename Visit>
int VisitResidency(const MappedFile* file, Range pages, Visit visit) {
  Residency residency[kPagesAtATime];
  for (size_t done = 0; done < pages.length;) {
    const size_t bytes = std::min(pages.length - done, kPagesAtATime * kPageBytes);
    uint8_t* start = file->address + pages.offset + done;
    if (mincore(start, bytes, residency) != 0) return errno;
    const int error = visit(start, residency, bytes / kPageBytes);
    if (error != 0) return error;
    done += bytes;
  }
  return 0;
}

// Whether the file still extends to the end of a range of the mapping; an error is pending when it does not.
bool CheckNotCut(napi_env env, const MappedFile* file, Range range) {
  if (range.length == 0) return true;
  FileStatus about;
  const int status_error = GetFileStatus(file->fd, &about);
  if (status_error != 0) {
    ThrowSystemError(env, status_error, "fstat");
    return false;
  }
  const bool is_broken = __atomic_load_n(&file->broken, __ATOMIC_SEQ_CST) != 0;
  const bool is_long_enough = static_cast<uint64_t>(about.size) >= file->start + range.end();
  if (is_long_enough && !is_broken) return true;
  if (is_long_enough) {
    ThrowCoded(env, "ERR_WALSTACK_FILE_CUT",
               "The file was cut while it was mapped, or its disk could not read it: it reads as zeros there");
    return false;
  }
  char message[160];
  std::snprintf(message, sizeof message, "The file was cut to %llu bytes while it was mapped up to %llu: do not read them",
                static_cast<unsigned long long>(about.size),
                static_cast<unsigned long long>(file->start + file->length));
  ThrowCoded(env, "ERR_WALSTACK_FILE_CUT", message);
  return false;
}

// Makes the ArrayBuffer of a mapping, and lets it own the memory. The ArrayBuffer of the flag is put into `witness`.
napi_value ShowMemory(napi_env env, MappedFile* file, napi_value* witness) {
  napi_value buffer;
  file->holders += 1;
  const napi_status status =
      napi_create_external_arraybuffer(env, file->address, file->length, FinalizeMemory, file, &buffer);
  if (status == napi_no_external_buffers_allowed) {
    UnmapMemory(file);
    LetGo(file);
    return ThrowCoded(env, "ERR_WALSTACK_NO_EXTERNAL_BUFFERS",
                      "This runtime does not allow an ArrayBuffer of external memory: read the file instead of mapping it");
  }
  // Whether the memory is finalized all the same is not known, so it is not unmapped here.
  if (status != napi_ok) return nullptr;
  napi_create_reference(env, buffer, 0, &file->buffer);
  file->holders += 1;
  if (napi_create_external_arraybuffer(env, &file->broken, 1, FinalizeWitness, file, witness) != napi_ok) {
    return nullptr;
  }
  napi_create_reference(env, *witness, 1, &file->witness);
  return buffer;
}

// Copy on write: a write to the memory changes only this mapping, and does not crash. Reading costs the same; no memory
// is reserved for copies.
int MapMemory(MappedFile* file) {
  void* address = mmap(nullptr, file->length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file->fd,
                       static_cast<off_t>(file->start));
  if (address == MAP_FAILED) return errno;
  file->address = static_cast<uint8_t*>(address);
  file->mapped = true;
  file->guard = GuardMemory(file->address, file->length, &file->broken);
  return 0;
}

// map(fd, offset, length, out): maps `length` bytes from `offset`, a multiple of the size of a page, and returns a handle.
// Puts the ArrayBuffer into `out.buffer`, and into `out.broken` the byte that becomes 1 when a page could not be read.
napi_value MapFile(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  GetArguments(env, info, 4, arguments);
  int fd;
  double offset;
  double length;
  if (!GetFd(env, arguments[0], &fd)) return nullptr;
  if (!GetInteger(env, arguments[1], "offset", 0, kMaxSafeInteger, &offset)) return nullptr;
  if (!GetInteger(env, arguments[2], "length", 0, kMaxSafeInteger - offset, &length)) return nullptr;
  FileStatus about;
  const int status_error = GetFileStatus(fd, &about);
  if (status_error != 0) {
    ThrowSystemError(env, status_error, "fstat");
    return nullptr;
  }
  if (!S_ISREG(about.mode)) {
    ThrowSystemError(env, ENODEV, "mmap");
    return nullptr;
  }
  if (offset + length > static_cast<double>(about.size)) {
    ThrowOutOfRange(env, "The value of \"length\" is out of range. It must not extend beyond the end of the file");
    return nullptr;
  }
  if (static_cast<uint64_t>(offset) % kPageBytes != 0) {
    ThrowOutOfRange(env, "The value of \"offset\" is out of range. It must be a multiple of the page size");
    return nullptr;
  }
  const int duplicate = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (duplicate < 0) {
    ThrowSystemError(env, errno, "fcntl");
    return nullptr;
  }

  auto* file = new MappedFile;
  file->fd = duplicate;
  file->start = static_cast<uint64_t>(offset);
  file->length = static_cast<size_t>(length);
  file->env = env;
  napi_value handle;
  if (napi_create_object(env, &handle) != napi_ok ||
      napi_wrap(env, handle, file, FinalizeHandle, nullptr, nullptr) != napi_ok) {
    CloseFile(file);
    delete file;
    return nullptr;
  }
  file->holders = 1;
  if (napi_type_tag_object(env, handle, &kMappedFileTag) != napi_ok) return nullptr;

  napi_value buffer = nullptr;
  napi_value witness = nullptr;
  if (file->length == 0) {
    napi_create_arraybuffer(env, 0, nullptr, &buffer);
  } else {
    const int error = MapMemory(file);
    if (error != 0) ThrowSystemError(env, error, "mmap");
    if (error == 0) buffer = ShowMemory(env, file, &witness);
  }
  if (buffer == nullptr) {
    CloseFile(file);
    return nullptr;
  }
  napi_set_named_property(env, arguments[3], "buffer", buffer);
  if (witness != nullptr) napi_set_named_property(env, arguments[3], "broken", witness);
  return handle;
}

// advise(handle, offset, length, advice)
napi_value Advise(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  GetArguments(env, info, 4, arguments);
  Range range;
  double advice;
  const MappedFile* file = GetMappedRange(env, arguments, &range);
  if (file == nullptr || !GetInteger(env, arguments[3], "advice", 0, kAdviceCount - 1, &advice)) return nullptr;
  const int number = kAdvice[static_cast<int>(advice)];
  const Range pages = number == MADV_DONTNEED ? WholePagesOf(file, range) : PagesOf(range);
  if (pages.length > 0 && madvise(file->address + pages.offset, pages.length, number) != 0) {
    ThrowSystemError(env, errno, "madvise");
  }
  return nullptr;
}

// load(handle, offset, length)
napi_value Load(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  GetArguments(env, info, 3, arguments);
  Range range;
  const MappedFile* file = GetMappedRange(env, arguments, &range);
  if (file == nullptr || !CheckNotCut(env, file, range)) return nullptr;
#ifdef __linux__
  const int error = VisitResidency(file, PagesOf(range), [](uint8_t* start, const Residency* residency, size_t pages) {
    if (std::memchr(residency, 0, pages) == nullptr) return 0;
    return madvise(start, pages * kPageBytes, MADV_POPULATE_READ) == 0 ? 0 : errno;
  });
  // Older kernels do not support it.
  if (error == 0 || error == EINVAL) return nullptr;
  // The file may have been truncated just now.
  if (CheckNotCut(env, file, range)) ThrowSystemError(env, error == EFAULT ? EIO : error, "madvise");
#endif
  return nullptr;
}

// checkNotCut(handle, offset, length)
napi_value CheckNotCutNow(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  GetArguments(env, info, 3, arguments);
  Range range;
  const MappedFile* file = GetMappedRange(env, arguments, &range);
  if (file != nullptr) CheckNotCut(env, file, range);
  return nullptr;
}

// residentBytes(handle, offset, length)
napi_value ResidentBytes(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  GetArguments(env, info, 3, arguments);
  Range range;
  const MappedFile* file = GetMappedRange(env, arguments, &range);
  if (file == nullptr) return nullptr;
  size_t bytes = 0;
  const int error =
      VisitResidency(file, PagesOf(range), [&](uint8_t* start, const Residency* residency, size_t pages) {
        const size_t first = static_cast<size_t>(start - file->address);
        for (size_t page = 0; page < pages; page++) {
          if ((residency[page] & 1) == 0) continue;
          const size_t from = std::max(first + page * kPageBytes, range.offset);
          bytes += std::min(first + (page + 1) * kPageBytes, range.end()) - from;
        }
        return 0;
      });
  if (error != 0) {
    ThrowSystemError(env, error, "mincore");
    return nullptr;
  }
  return MakeNumber(env, static_cast<double>(bytes));
}

// release(handle, offset, length)
napi_value ReleasePages(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  GetArguments(env, info, 3, arguments);
  Range range;
  const MappedFile* file = GetMappedRange(env, arguments, &range);
  if (file == nullptr) return nullptr;
  const Range pages = WholePagesOf(file, range);
  if (pages.length == 0) return nullptr;
  if (madvise(file->address + pages.offset, pages.length, MADV_DONTNEED) != 0) {
    ThrowSystemError(env, errno, "madvise");
    return nullptr;
  }
#ifdef POSIX_FADV_DONTNEED
  const int error = posix_fadvise(file->fd, static_cast<off_t>(file->start + pages.offset), static_cast<off_t>(pages.length),
                                  POSIX_FADV_DONTNEED);
  if (error != 0) ThrowSystemError(env, error, "posix_fadvise");
#endif
  return nullptr;
}

// unmap(handle, buffer): detaches the ArrayBuffer and unmaps the memory. The finalizer of the memory would run only at a turn of the
// event loop: a program that only blocks would reach the limit of mappings of its process. Memory that was moved into another
// ArrayBuffer is unmapped by the finalizer.
napi_value Unmap(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  GetArguments(env, info, 2, arguments);
  MappedFile* file = GetMapping(env, arguments[0]);
  if (file == nullptr) return nullptr;
  bool detached = false;
  if (napi_is_detached_arraybuffer(env, arguments[1], &detached) != napi_ok) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "The \"buffer\" argument must be an ArrayBuffer");
    return nullptr;
  }
  CloseFile(file);
  // An ArrayBuffer whose memory was moved into another one is detached.
  if (detached) return nullptr;
  void* memory = nullptr;
  napi_get_arraybuffer_info(env, arguments[1], &memory, nullptr);
  const bool has_memory = file->mapped && memory == file->address;
  if (napi_detach_arraybuffer(env, arguments[1]) == napi_ok && has_memory) UnmapMemory(file);
  return nullptr;
}

}  // namespace

void ExportMapping(napi_env env, napi_value exports) {
  napi_value mapping;
  if (napi_create_object(env, &mapping) != napi_ok) return;
  ExportFunction(env, mapping, "map", MapFile);
  ExportFunction(env, mapping, "advise", Advise);
  ExportFunction(env, mapping, "checkNotCut", CheckNotCutNow);
  ExportFunction(env, mapping, "load", Load);
  ExportFunction(env, mapping, "residentBytes", ResidentBytes);
  ExportFunction(env, mapping, "release", ReleasePages);
  ExportFunction(env, mapping, "unmap", Unmap);
  napi_set_named_property(env, exports, "mapping", mapping);
}

}  // namespace walstack

#endif  // _WIN32
