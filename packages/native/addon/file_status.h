// What the system knows about an open file, by libuv, which is part of Node.js: glibc has `fstat` as a function that a
// binary can find since 2.33 only, and the addon loads with older ones.
#ifndef WALSTACK_FILE_STATUS_H_
#define WALSTACK_FILE_STATUS_H_

#include <sys/stat.h>
#include <uv.h>

#include <cstdint>

namespace walstack {

struct FileStatus {
  uint64_t mode;
  uint64_t size;
};

// Returns 0, or the number of the error.
inline int GetFileStatus(int fd, FileStatus* status) {
  uv_fs_t request;
  const int result = uv_fs_fstat(nullptr, &request, fd, nullptr);
  *status = {request.statbuf.st_mode, request.statbuf.st_size};
  uv_fs_req_cleanup(&request);
  return -result;
}

}  // namespace walstack

#endif  // WALSTACK_FILE_STATUS_H_
