#include "ring.h"

#include "has_io_uring.h"

#ifndef WALSTACK_HAS_IO_URING

namespace walstack {

void ExportRing(napi_env, napi_value) {}

}  // namespace walstack

#else

#include <fcntl.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <memory>

#include "allocation.h"
#include "kernel_ring.h"
#include "ring_readiness.h"
#include "support.h"

namespace walstack {

namespace {

// The same as in ring.ts.
constexpr uint32_t kDurable = 1;  // the completion means: on stable storage
constexpr uint32_t kLinked = 2;   // the next operation begins when this one has succeeded

constexpr double kMaxSlots = 1u << 20;
constexpr double kMaxEntries = 1u << 15;
constexpr double kMaxBufferPlaces = 1u << 14;
constexpr double kMaxTransfer = 0x7fffffff;

// Not yet in the headers: since Linux 6.9.
constexpr uint8_t kOpTruncate = 55;

// The completion of a cancellation is ignored: the cancelled operation has its own.
constexpr uint64_t kNobody = UINT64_MAX;

// One ring and what belongs to it. It lives as long as its JavaScript object or its handle in the event loop.
class Ring {
 public:
  static void Export(napi_env env, napi_value exports);

 private:
  Ring(napi_env env, uint32_t slots) : env_(env), slots_(slots) {}

  static napi_value Construct(napi_env env, napi_callback_info info);
  static napi_value Write(napi_env env, napi_callback_info info) { return Transfer(env, info, false); }
  static napi_value Read(napi_env env, napi_callback_info info) { return Transfer(env, info, true); }
  static napi_value Transfer(napi_env env, napi_callback_info info, bool reading);
  static napi_value Sync(napi_env env, napi_callback_info info);
  static napi_value Allocate(napi_env env, napi_callback_info info);
  static napi_value Truncate(napi_env env, napi_callback_info info);
  static napi_value Remove(napi_env env, napi_callback_info info);
  static napi_value Cancel(napi_env env, napi_callback_info info);
  static napi_value Submit(napi_env env, napi_callback_info info);
  static napi_value Wait(napi_env env, napi_callback_info info);
  static napi_value Reap(napi_env env, napi_callback_info info);
  static napi_value SetBuffer(napi_env env, napi_callback_info info);
  static napi_value Room(napi_env env, napi_callback_info info);
  static napi_value Counters(napi_env env, napi_callback_info info);
  static napi_value CloseRing(napi_env env, napi_callback_info info);

  // Gets the receiver and the arguments of a call; nullptr, with an error pending, when the ring is closed.
  static Ring* Of(napi_env env, napi_callback_info info, size_t count, napi_value* arguments);

  // Makes ring, eventfd and handle. Returns false with an error pending.
  bool Open(napi_value object, const RingSetup& setup, uint32_t buffer_places);
  void Describe(napi_value object);

  // Takes the slot of an operation: the caller keeps its memory until it completes.
  bool TakeSlot(napi_value value, uint32_t* slot);
  bool GetFd(napi_value value, int32_t* fd);
  // Puts an operation in; nullptr when the queue is full.
  io_uring_sqe* Begin(uint32_t slot, uint8_t opcode, int32_t fd, uint32_t flags);
  napi_value Done(bool put_in);

  // As long as the kernel has operations, the object is not collected and the loop stays alive.
  void FollowKernel();
  // The result of a call of the kernel: operations left in the queue, or an error pending.
  napi_value Outcome(int error, const char* what);

  void OnReady();
  void OnClosed();
  void Shutdown();
  void Release() {
    if (--owners_ == 0) delete this;
  }

  napi_env env_;
  uint32_t slots_;
  std::unique_ptr<bool[]> taken_;
  KernelRing kernel_;
  RingReadiness* readiness_ = nullptr;
  napi_ref object_ = nullptr;
  napi_async_cleanup_hook_handle cleanup_ = nullptr;
  bool rooted_ = false;
  bool closing_ = false;
  int owners_ = 0;
};

bool GetInt32Array(napi_env env, napi_value value, const char* name, int32_t** data, size_t* length) {
  napi_typedarray_type type;
  void* memory = nullptr;
  if (napi_get_typedarray_info(env, value, &type, length, &memory, nullptr, nullptr) != napi_ok ||
      type != napi_int32_array) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", name);
    return false;
  }
  if (memory == nullptr) *length = 0;
  *data = static_cast<int32_t*>(memory);
  return true;
}

bool GetUint32(napi_env env, napi_value value, const char* name, double minimum, double maximum, uint32_t* integer) {
  double number;
  if (!GetInteger(env, value, name, minimum, maximum, &number)) return false;
  *integer = static_cast<uint32_t>(number);
  return true;
}

void SetNumber(napi_env env, napi_value object, const char* name, double value) {
  napi_set_named_property(env, object, name, MakeNumber(env, value));
}

Ring* Ring::Of(napi_env env, napi_callback_info info, size_t count, napi_value* arguments) {
  napi_value object;
  void* ring = nullptr;
  napi_get_cb_info(env, info, &count, arguments, &object, nullptr);
  // The receiver is a Ring: V8 checks the signature of a method.
  if (napi_unwrap(env, object, &ring) != napi_ok || !static_cast<Ring*>(ring)->kernel_.is_open()) {
    napi_throw_error(env, "ERR_WALSTACK_RING_CLOSED", "The ring is closed");
    return nullptr;
  }
  return static_cast<Ring*>(ring);
}

// new Ring(entries, completionEntries, slots, pollingIdleMs (-1: no kernel polling), taskWork, bufferPlaces)
napi_value Ring::Construct(napi_env env, napi_callback_info info) {
  napi_value object;
  napi_value arguments[6];
  size_t count = 6;
  napi_get_cb_info(env, info, &count, arguments, &object, nullptr);
  RingSetup setup;
  uint32_t slots;
  double idle_ms;
  uint32_t task_work;
  uint32_t buffer_places;
  if (!GetUint32(env, arguments[0], "entries", 1, kMaxEntries, &setup.entries) ||
      !GetUint32(env, arguments[1], "completionEntries", setup.entries, kMaxEntries * 2, &setup.completion_entries) ||
      !GetUint32(env, arguments[2], "slots", 1, kMaxSlots, &slots) ||
      !GetInteger(env, arguments[3], "kernelPollingIdleMs", -1, INT32_MAX, &idle_ms) ||
      !GetUint32(env, arguments[4], "taskWork", 0, 3, &task_work) ||
      !GetUint32(env, arguments[5], "registeredBuffers", 0, kMaxBufferPlaces, &buffer_places)) {
    return nullptr;
  }
  setup.kernel_polling = idle_ms >= 0;
  setup.polling_idle_ms = setup.kernel_polling ? static_cast<uint32_t>(idle_ms) : 0;
  setup.task_work = static_cast<TaskWork>(task_work);
  Ring* ring = new (kNothrow) Ring(env, slots);
  if (ring == nullptr) {
    ThrowSystemError(env, ENOMEM, "io_uring_setup");
    return nullptr;
  }
  ring->owners_ = 1;
  if (ring->Open(object, setup, buffer_places)) return object;
  ring->Shutdown();
  // An object that was wrapped releases its part when it is collected.
  if (ring->object_ == nullptr) ring->Release();
  return nullptr;
}

bool Ring::Open(napi_value object, const RingSetup& setup, uint32_t buffer_places) {
  const char* missing = nullptr;
  int error = kernel_.Open(setup, &missing);
  if (error != 0) {
    ThrowSystemError(env_, error, missing == nullptr ? "io_uring_setup" : missing);
    return false;
  }
  taken_.reset(new (kNothrow) bool[slots_]());
  if (taken_ == nullptr) error = ENOMEM;
  if (error == 0 && buffer_places > 0) {
    error = kernel_.RegisterBufferTable(buffer_places);
    if (error != 0) {
      ThrowSystemError(env_, error, "IORING_REGISTER_BUFFERS2");
      return false;
    }
  }
  uv_loop_s* loop = nullptr;
  if (error == 0 && napi_get_uv_event_loop(env_, &loop) != napi_ok) error = EINVAL;
  if (error == 0) {
    // The environment ends only after the kernel no longer uses any buffer, and the loop has closed the handle.
    napi_add_async_cleanup_hook(
        env_, [](napi_async_cleanup_hook_handle, void* ring) { static_cast<Ring*>(ring)->Shutdown(); }, this,
        &cleanup_);
    error = RingReadiness::Create(
        loop, this, [](void* ring) { static_cast<Ring*>(ring)->OnReady(); },
        [](void* ring) { static_cast<Ring*>(ring)->OnClosed(); }, &readiness_);
    if (readiness_ != nullptr) owners_++;
  }
  if (error == 0) error = kernel_.RegisterEventFd(readiness_->event_fd());
  if (error != 0) {
    ThrowSystemError(env_, error, "io_uring_register");
    return false;
  }
  const napi_finalize finalize = [](napi_env env, void* data, void*) {
    Ring* self = static_cast<Ring*>(data);
    self->Shutdown();
    napi_delete_reference(env, self->object_);
    self->Release();
  };
  napi_wrap(env_, object, this, finalize, nullptr, nullptr);
  napi_create_reference(env_, object, 0, &object_);
  Describe(object);
  return true;
}

void Ring::Describe(napi_value object) {
  napi_value can_truncate;
  napi_get_boolean(env_, kernel_.Knows(kOpTruncate), &can_truncate);
  napi_set_named_property(env_, object, "canTruncate", can_truncate);
  SetNumber(env_, object, "fd", kernel_.fd());
  SetNumber(env_, object, "setupFlags", kernel_.setup_flags());
  SetNumber(env_, object, "completionEntries", kernel_.completion_entries());
}

bool Ring::TakeSlot(napi_value value, uint32_t* slot) {
  if (!GetUint32(env_, value, "slot", 0, slots_ - 1, slot)) return false;
  if (!taken_[*slot]) return true;
  char message[80];
  std::snprintf(message, sizeof message, "Slot %u has an operation that has not completed yet", *slot);
  ThrowOutOfRange(env_, message);
  return false;
}

bool Ring::GetFd(napi_value value, int32_t* fd) {
  double number;
  if (!GetInteger(env_, value, "fd", 0, INT32_MAX, &number)) return false;
  *fd = static_cast<int32_t>(number);
  return true;
}

io_uring_sqe* Ring::Begin(uint32_t slot, uint8_t opcode, int32_t fd, uint32_t flags) {
  io_uring_sqe* operation = kernel_.Next();
  if (operation == nullptr) return nullptr;
  operation->opcode = opcode;
  operation->fd = fd;
  operation->user_data = slot;
  if (flags & kLinked) operation->flags = IOSQE_IO_LINK;
  taken_[slot] = true;
  return operation;
}

napi_value Ring::Done(bool put_in) {
  napi_value result;
  napi_get_boolean(env_, put_in, &result);
  return result;
}

// write(slot, fd, data, offset, flags, place) and read(…) → whether there was room. A place of -1 is no place.
napi_value Ring::Transfer(napi_env env, napi_callback_info info, bool reading) {
  napi_value arguments[6];
  Ring* ring = Of(env, info, 6, arguments);
  uint32_t slot;
  int32_t fd;
  Bytes bytes;
  double offset;
  uint32_t flags;
  double place;
  if (ring == nullptr || !ring->TakeSlot(arguments[0], &slot) || !ring->GetFd(arguments[1], &fd) ||
      !GetBytes(env, arguments[2], reading ? "into" : "data", &bytes) ||
      !GetInteger(env, arguments[3], "offset", 0, kMaxSafeInteger, &offset) ||
      !GetUint32(env, arguments[4], "flags", 0, kDurable | kLinked, &flags) ||
      !GetInteger(env, arguments[5], "place", -1, kMaxBufferPlaces - 1, &place)) {
    return nullptr;
  }
  if (static_cast<double>(bytes.length) > kMaxTransfer) {
    ThrowOutOfRange(env, "One operation moves at most 2147483647 bytes");
    return nullptr;
  }
  const bool fixed = place >= 0;
  const uint8_t opcode = reading ? (fixed ? IORING_OP_READ_FIXED : IORING_OP_READ)
                                 : (fixed ? IORING_OP_WRITE_FIXED : IORING_OP_WRITE);
  io_uring_sqe* operation = ring->Begin(slot, opcode, fd, flags);
  if (operation == nullptr) return ring->Done(false);
  operation->addr = reinterpret_cast<uint64_t>(bytes.data);
  operation->len = static_cast<uint32_t>(bytes.length);
  operation->off = static_cast<uint64_t>(offset);
  if (flags & kDurable && !reading) operation->rw_flags = RWF_DSYNC;
  if (fixed) {
    operation->buf_index = static_cast<uint16_t>(place);
    ring->kernel_.CountFixedBuffer();
  }
  return ring->Done(true);
}

// sync(slot, fd, dataOnly, flags) → whether there was room
napi_value Ring::Sync(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  Ring* ring = Of(env, info, 4, arguments);
  uint32_t slot;
  int32_t fd;
  bool data_only = false;
  uint32_t flags;
  if (ring == nullptr || !ring->TakeSlot(arguments[0], &slot) || !ring->GetFd(arguments[1], &fd) ||
      !GetUint32(env, arguments[3], "flags", 0, kDurable | kLinked, &flags)) {
    return nullptr;
  }
  napi_get_value_bool(env, arguments[2], &data_only);
  io_uring_sqe* operation = ring->Begin(slot, IORING_OP_FSYNC, fd, flags);
  if (operation == nullptr) return ring->Done(false);
  if (data_only) operation->fsync_flags = IORING_FSYNC_DATASYNC;
  return ring->Done(true);
}

// allocate(slot, fd, offset, bytes, flags) → whether there was room
napi_value Ring::Allocate(napi_env env, napi_callback_info info) {
  napi_value arguments[5];
  Ring* ring = Of(env, info, 5, arguments);
  uint32_t slot;
  int32_t fd;
  double offset;
  double bytes;
  uint32_t flags;
  if (ring == nullptr || !ring->TakeSlot(arguments[0], &slot) || !ring->GetFd(arguments[1], &fd) ||
      !GetInteger(env, arguments[2], "offset", 0, kMaxSafeInteger, &offset) ||
      !GetInteger(env, arguments[3], "bytes", 0, kMaxSafeInteger, &bytes) ||
      !GetUint32(env, arguments[4], "flags", 0, kDurable | kLinked, &flags)) {
    return nullptr;
  }
  io_uring_sqe* operation = ring->Begin(slot, IORING_OP_FALLOCATE, fd, flags);
  if (operation == nullptr) return ring->Done(false);
  operation->off = static_cast<uint64_t>(offset);
  operation->addr = static_cast<uint64_t>(bytes);
  return ring->Done(true);
}

// truncate(slot, fd, bytes, flags) → whether there was room. Only where `canTruncate`.
napi_value Ring::Truncate(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  Ring* ring = Of(env, info, 4, arguments);
  uint32_t slot;
  int32_t fd;
  double bytes;
  uint32_t flags;
  if (ring == nullptr || !ring->TakeSlot(arguments[0], &slot) || !ring->GetFd(arguments[1], &fd) ||
      !GetInteger(env, arguments[2], "bytes", 0, kMaxSafeInteger, &bytes) ||
      !GetUint32(env, arguments[3], "flags", 0, kDurable | kLinked, &flags)) {
    return nullptr;
  }
  io_uring_sqe* operation = ring->Begin(slot, kOpTruncate, fd, flags);
  if (operation == nullptr) return ring->Done(false);
  operation->off = static_cast<uint64_t>(bytes);
  return ring->Done(true);
}

// remove(slot, path, flags) → whether there was room. The path is bytes that end with a zero.
napi_value Ring::Remove(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  Ring* ring = Of(env, info, 3, arguments);
  uint32_t slot;
  Bytes path;
  uint32_t flags;
  if (ring == nullptr || !ring->TakeSlot(arguments[0], &slot) || !GetBytes(env, arguments[1], "path", &path) ||
      !GetUint32(env, arguments[2], "flags", 0, kDurable | kLinked, &flags)) {
    return nullptr;
  }
  if (path.length == 0 || path.data[path.length - 1] != 0) {
    ThrowOutOfRange(env, "A path must end with a zero");
    return nullptr;
  }
  io_uring_sqe* operation = ring->Begin(slot, IORING_OP_UNLINKAT, AT_FDCWD, flags);
  if (operation == nullptr) return ring->Done(false);
  operation->addr = reinterpret_cast<uint64_t>(path.data);
  return ring->Done(true);
}

// cancel(slot) → whether there was room: the operation in the slot completes as ECANCELED, if it can be cancelled.
napi_value Ring::Cancel(napi_env env, napi_callback_info info) {
  napi_value arguments[1];
  Ring* ring = Of(env, info, 1, arguments);
  uint32_t slot;
  if (ring == nullptr || !GetUint32(env, arguments[0], "slot", 0, ring->slots_ - 1, &slot)) return nullptr;
  io_uring_sqe* operation = ring->kernel_.Next();
  if (operation == nullptr) return ring->Done(false);
  operation->opcode = IORING_OP_ASYNC_CANCEL;
  operation->fd = -1;
  operation->addr = slot;
  operation->user_data = kNobody;
  return ring->Done(true);
}

void Ring::FollowKernel() {
  const bool busy = kernel_.InKernel() > 0;
  if (busy == rooted_) return;
  rooted_ = busy;
  uint32_t count;
  if (busy) {
    napi_reference_ref(env_, object_, &count);
  } else {
    napi_reference_unref(env_, object_, &count);
  }
  readiness_->KeepLoopAlive(busy);
}

napi_value Ring::Outcome(int error, const char* what) {
  FollowKernel();
  if (error != 0 && error != EAGAIN && error != EBUSY) {
    ThrowSystemError(env_, error, what);
    return nullptr;
  }
  const bool polling = kernel_.setup_flags() & IORING_SETUP_SQPOLL;
  return MakeNumber(env_, polling ? 0 : kernel_.Queued());
}

// submit() → operations left in the queue because the kernel refused them now
napi_value Ring::Submit(napi_env env, napi_callback_info info) {
  Ring* ring = Of(env, info, 0, nullptr);
  return ring == nullptr ? nullptr : ring->Outcome(ring->kernel_.Submit(), "io_uring_enter");
}

// wait(minimum, timeoutMs (-1: for ever)) → as submit
napi_value Ring::Wait(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  Ring* ring = Of(env, info, 2, arguments);
  uint32_t minimum;
  double timeout_ms;
  if (ring == nullptr || !GetUint32(env, arguments[0], "minimum", 0, UINT32_MAX, &minimum)) return nullptr;
  if (napi_get_value_double(env, arguments[1], &timeout_ms) != napi_ok || !(timeout_ms <= INT32_MAX)) {
    ThrowOutOfRange(env, "The value of \"timeoutMs\" is out of range");
    return nullptr;
  }
  return ring->Outcome(ring->kernel_.Wait(minimum, timeout_ms), "io_uring_enter");
}

// reap(slots, results) → how many completions were reaped: as many as there are, or fit
napi_value Ring::Reap(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  Ring* ring = Of(env, info, 2, arguments);
  int32_t* slots;
  int32_t* results;
  size_t slots_length;
  size_t results_length;
  if (ring == nullptr || !GetInt32Array(env, arguments[0], "slots must be an Int32Array", &slots, &slots_length) ||
      !GetInt32Array(env, arguments[1], "results must be an Int32Array", &results, &results_length)) {
    return nullptr;
  }
  const size_t room = slots_length < results_length ? slots_length : results_length;
  size_t count = 0;
  uint64_t slot;
  while (count < room && ring->kernel_.Reap(&slot, &results[count])) {
    if (slot == kNobody) continue;
    slots[count++] = static_cast<int32_t>(slot);
    ring->taken_[slot] = false;
  }
  ring->FollowKernel();
  const int error = ring->kernel_.TakeReapError();
  if (count == 0 && error != 0) {
    ThrowSystemError(env, error, "io_uring_enter");
    return nullptr;
  }
  return MakeNumber(env, static_cast<double>(count));
}

// setBuffer(place, data): data of length 0 removes the buffer at this index
napi_value Ring::SetBuffer(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  Ring* ring = Of(env, info, 2, arguments);
  uint32_t place;
  Bytes bytes;
  if (ring == nullptr || !GetUint32(env, arguments[0], "place", 0, kMaxBufferPlaces - 1, &place) ||
      !GetBytes(env, arguments[1], "data", &bytes)) {
    return nullptr;
  }
  const int error = ring->kernel_.UpdateBuffer(place, bytes.length == 0 ? nullptr : bytes.data, bytes.length);
  if (error != 0) ThrowSystemError(env, error, "IORING_REGISTER_BUFFERS_UPDATE");
  return nullptr;
}

// room() → how many more operations can be queued
napi_value Ring::Room(napi_env env, napi_callback_info info) {
  Ring* ring = Of(env, info, 0, nullptr);
  return ring == nullptr ? nullptr : MakeNumber(env, ring->kernel_.Room());
}

// counters(out): puts the counters into a Float64Array of 8
napi_value Ring::Counters(napi_env env, napi_callback_info info) {
  napi_value arguments[1];
  size_t count = 1;
  napi_value object;
  void* data = nullptr;
  napi_get_cb_info(env, info, &count, arguments, &object, nullptr);
  if (napi_unwrap(env, object, &data) != napi_ok) return nullptr;
  napi_typedarray_type type;
  size_t length = 0;
  void* out = nullptr;
  if (napi_get_typedarray_info(env, arguments[0], &type, &length, &out, nullptr, nullptr) != napi_ok ||
      type != napi_float64_array || length < 8) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "out must be a Float64Array of 8");
    return nullptr;
  }
  const RingCounters& counters = static_cast<Ring*>(data)->kernel_.counters();
  double* numbers = static_cast<double*>(out);
  const uint64_t all[] = {counters.enters,    counters.submitted, counters.completed,   counters.queue_full,
                          counters.overflows, counters.refused,   counters.interrupted, counters.fixed_buffer};
  for (size_t index = 0; index < 8; index++) numbers[index] = static_cast<double>(all[index]);
  return nullptr;
}

// close(): see KernelRing::Close. Idempotent.
napi_value Ring::CloseRing(napi_env env, napi_callback_info info) {
  napi_value object;
  void* ring = nullptr;
  size_t count = 0;
  napi_get_cb_info(env, info, &count, nullptr, &object, nullptr);
  if (napi_unwrap(env, object, &ring) == napi_ok) static_cast<Ring*>(ring)->Shutdown();
  return nullptr;
}

void Ring::OnReady() {
  napi_handle_scope scope;
  if (napi_open_handle_scope(env_, &scope) != napi_ok) return;
  napi_value object = nullptr;
  napi_value listener;
  napi_valuetype type = napi_undefined;
  // No listener is called once the object is collected: then the kernel has no operations of it.
  if (napi_get_reference_value(env_, object_, &object) == napi_ok && object != nullptr &&
      napi_get_named_property(env_, object, "onReady", &listener) == napi_ok &&
      napi_typeof(env_, listener, &type) == napi_ok && type == napi_function) {
    const napi_status status = napi_make_callback(env_, nullptr, object, listener, 0, nullptr, nullptr);
    napi_value error;
    // As for any callback of the event loop, it becomes an uncaught exception of the process.
    if (status == napi_pending_exception && napi_get_and_clear_last_exception(env_, &error) == napi_ok) {
      napi_fatal_exception(env_, error);
    }
  }
  napi_close_handle_scope(env_, scope);
}

// Called when the user closes the ring, when the object is collected, or when the environment ends: the kernel no
// longer uses any buffer when this returns.
void Ring::Shutdown() {
  if (closing_) return;
  closing_ = true;
  kernel_.Close();
  if (rooted_) {
    uint32_t count;
    rooted_ = false;
    napi_reference_unref(env_, object_, &count);
  }
  if (readiness_ != nullptr) {
    readiness_->Close();
  } else if (cleanup_ != nullptr) {
    napi_remove_async_cleanup_hook(cleanup_);
  }
}

void Ring::OnClosed() {
  napi_remove_async_cleanup_hook(cleanup_);
  Release();
}

void Ring::Export(napi_env env, napi_value exports) {
  const auto method = [](const char* name, napi_callback call) {
    return napi_property_descriptor{name, nullptr, call, nullptr, nullptr, nullptr, napi_default, nullptr};
  };
  const napi_property_descriptor methods[] = {
      method("write", Write),       method("read", Read),           method("sync", Sync),
      method("allocate", Allocate), method("truncate", Truncate),   method("remove", Remove),
      method("cancel", Cancel),     method("submit", Submit),       method("wait", Wait),
      method("reap", Reap),         method("setBuffer", SetBuffer),
      method("room", Room),         method("counters", Counters),   method("close", CloseRing),
  };
  napi_value constructor;
  if (napi_define_class(env, "Ring", NAPI_AUTO_LENGTH, Construct, nullptr, sizeof methods / sizeof methods[0], methods,
                        &constructor) == napi_ok) {
    napi_set_named_property(env, exports, "Ring", constructor);
  }
}

}  // namespace

void ExportRing(napi_env env, napi_value exports) { Ring::Export(env, exports); }

}  // namespace walstack

#endif  // WALSTACK_HAS_IO_URING
