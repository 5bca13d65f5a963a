#include "direct_io.h"

#ifndef __linux__

namespace walstack {

void ExportDirectIo(napi_env, napi_value) {}

}  // namespace walstack

#else

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "file_status.h"
#include "support.h"

namespace walstack {

namespace {

// The struct of statx. Declared here because not all C libraries' headers have its last fields.
struct StatxReply {
  uint32_t mask;
  uint8_t others[148];
  uint32_t direct_memory_alignment;
  uint32_t direct_offset_alignment;
  uint8_t spare[96];
};
static_assert(sizeof(StatxReply) == 256);

constexpr unsigned kStatxDirectAlignment = 0x2000;  // STATX_DIOALIGN, since Linux 6.1

// File systems in memory accept O_DIRECT since Linux 6.6, but use the page cache all the same.
constexpr uint32_t kTmpfs = 0x01021994;
constexpr uint32_t kRamfs = 0x858458f6;

// Used where the file system does not report its alignment: no disk in use needs more.
constexpr uint32_t kCautiousAlignment = 4096;

struct Alignment {
  uint32_t memory;
  uint32_t offset;
};

enum class Answer { kYes, kNo, kUnknown };

Answer AskStatx(int fd, Alignment* alignment) {
  StatxReply reply = {};
  if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH, kStatxDirectAlignment, &reply) != 0) return Answer::kUnknown;
  if ((reply.mask & kStatxDirectAlignment) == 0) return Answer::kUnknown;
  *alignment = {reply.direct_memory_alignment, reply.direct_offset_alignment};
  return alignment->memory == 0 || alignment->offset == 0 ? Answer::kNo : Answer::kYes;
}

// Opens the file once more, with direct I/O, and reads a block: some file systems refuse the open, some the read.
bool DirectReadWorks(int fd) {
  char path[40];
  std::snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  const int direct = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC | O_NONBLOCK);
  if (direct < 0) return false;
  void* block = nullptr;
  bool works = false;
  if (posix_memalign(&block, kCautiousAlignment, kCautiousAlignment) == 0) {
    works = pread(direct, block, kCautiousAlignment, 0) >= 0;
    std::free(block);
  }
  close(direct);
  return works;
}

bool IsInMemory(int fd) {
  struct statfs about;
  if (fstatfs(fd, &about) != 0) return false;
  const uint32_t type = static_cast<uint32_t>(about.f_type);
  return type == kTmpfs || type == kRamfs;
}

// directIoAlignment(fd, out): puts the alignment of memory and of offsets into a Uint32Array of two, and returns
// whether there is one.
napi_value DirectIoAlignment(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  GetArguments(env, info, 2, arguments);
  int fd;
  uint32_t* out;
  size_t out_length;
  if (!GetFd(env, arguments[0], &fd)) return nullptr;
  if (!GetUint32Array(env, arguments[1], "out", &out, &out_length)) return nullptr;
  if (out_length < 2) {
    ThrowOutOfRange(env, "The \"out\" argument must have room for two numbers");
    return nullptr;
  }
  FileStatus about;
  const int status_error = GetFileStatus(fd, &about);
  if (status_error != 0) {
    ThrowSystemError(env, status_error, "fstat");
    return nullptr;
  }
  Alignment alignment = {kCautiousAlignment, kCautiousAlignment};
  bool possible = (S_ISREG(about.mode) || S_ISBLK(about.mode)) && !IsInMemory(fd);
  if (possible) {
    const Answer answer = AskStatx(fd, &alignment);
    possible = answer == Answer::kYes || (answer == Answer::kUnknown && DirectReadWorks(fd));
  }
  if (possible) {
    out[0] = alignment.memory;
    out[1] = alignment.offset;
  }
  return MakeBoolean(env, possible);
}

// useDirectIo(fd): turns direct I/O on for an open file, and returns whether the file system supports it.
napi_value UseDirectIo(napi_env env, napi_callback_info info) {
  napi_value arguments[1];
  GetArguments(env, info, 1, arguments);
  int fd;
  if (!GetFd(env, arguments[0], &fd)) return nullptr;
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || (fcntl(fd, F_SETFL, flags | O_DIRECT) != 0 && errno != EINVAL)) {
    ThrowSystemError(env, errno, "fcntl");
    return nullptr;
  }
  return MakeBoolean(env, (fcntl(fd, F_GETFL) & O_DIRECT) != 0);
}

}  // namespace

void ExportDirectIo(napi_env env, napi_value exports) {
  ExportFunction(env, exports, "directIoAlignment", DirectIoAlignment);
  ExportFunction(env, exports, "useDirectIo", UseDirectIo);
}

}  // namespace walstack

#endif  // __linux__
