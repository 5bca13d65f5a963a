// Durable writes with nothing else around them: so many aligned direct writes (RWF_DSYNC) under way at a time, one behind
// the other in blocks that were written before, through a ring of io_uring set up as walstack's is.
//
// Usage: durable-loop FILE DEPTH BYTES MILLISECONDS
// Prints: {"writes": n, "elapsedMs": n, "p50Us": n, "p99Us": n, "p999Us": n, "slow": n}
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define DEPTH_MAX 1024
#define FILE_BYTES (16L << 20)
#define ALIGNMENT 4096

static void fail(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

static double now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int ascending(const void *one, const void *other) {
  const double difference = *(const double *)one - *(const double *)other;
  return difference < 0 ? -1 : difference > 0;
}

static struct {
  int fd;
  unsigned *sq_tail, *sq_mask, *cq_head, *cq_tail, *cq_mask;
  struct io_uring_sqe *sqes;
  struct io_uring_cqe *cqes;
} ring;

static void set_up(unsigned entries) {
  struct io_uring_params params = {
      .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
               IORING_SETUP_SUBMIT_ALL};
  ring.fd = (int)syscall(__NR_io_uring_setup, entries, &params);
  if (ring.fd < 0 && errno == EINVAL) {
    memset(&params, 0, sizeof params);
    ring.fd = (int)syscall(__NR_io_uring_setup, entries, &params);
  }
  if (ring.fd < 0) fail("io_uring_setup");
  const size_t sq_bytes = params.sq_off.array + params.sq_entries * sizeof(unsigned);
  const size_t cq_bytes = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
  const int protection = PROT_READ | PROT_WRITE;
  char *rings = mmap(NULL, sq_bytes > cq_bytes ? sq_bytes : cq_bytes, protection, MAP_SHARED | MAP_POPULATE, ring.fd,
                     IORING_OFF_SQ_RING);
  ring.sqes = mmap(NULL, params.sq_entries * sizeof *ring.sqes, protection, MAP_SHARED | MAP_POPULATE, ring.fd,
                   IORING_OFF_SQES);
  if (rings == MAP_FAILED || ring.sqes == MAP_FAILED) fail("mmap");
  ring.sq_tail = (unsigned *)(rings + params.sq_off.tail);
  ring.sq_mask = (unsigned *)(rings + params.sq_off.ring_mask);
  ring.cq_head = (unsigned *)(rings + params.cq_off.head);
  ring.cq_tail = (unsigned *)(rings + params.cq_off.tail);
  ring.cq_mask = (unsigned *)(rings + params.cq_off.ring_mask);
  ring.cqes = (struct io_uring_cqe *)(rings + params.cq_off.cqes);
  unsigned *order = (unsigned *)(rings + params.sq_off.array);
  for (unsigned index = 0; index < params.sq_entries; index++) order[index] = index;
}

static void write_before(int fd, char *memory) {
  for (long offset = 0; offset < FILE_BYTES; offset += 1 << 20) {
    if (pwrite(fd, memory, 1 << 20, offset) != 1 << 20) fail("write");
  }
  if (fsync(fd) != 0) fail("fsync");
}

struct loop {
  int fd;
  char *memory;
  long bytes, blocks, next, under_way;
  unsigned to_submit;
  double begun[DEPTH_MAX];
};

static void put_in(struct loop *loop, uint64_t slot, double now) {
  struct io_uring_sqe *sqe = &ring.sqes[*ring.sq_tail & *ring.sq_mask];
  memset(sqe, 0, sizeof *sqe);
  sqe->opcode = IORING_OP_WRITE;
  sqe->fd = loop->fd;
  sqe->addr = (uint64_t)(loop->memory + slot * (uint64_t)loop->bytes);
  sqe->len = (uint32_t)loop->bytes;
  sqe->off = (uint64_t)((loop->next++ % loop->blocks) * loop->bytes);
  sqe->rw_flags = RWF_DSYNC;
  sqe->user_data = slot;
  __atomic_store_n(ring.sq_tail, *ring.sq_tail + 1, __ATOMIC_RELEASE);
  loop->begun[slot] = now;
  loop->to_submit++;
  loop->under_way++;
}

int main(int argc, char **argv) {
  const long depth = argc == 5 ? atol(argv[2]) : 0;
  const long bytes = argc == 5 ? atol(argv[3]) : 0;
  const double duration_us = argc == 5 ? atof(argv[4]) * 1e3 : 0;
  if (depth < 1 || depth > DEPTH_MAX || bytes < ALIGNMENT || bytes % ALIGNMENT != 0 || bytes > FILE_BYTES) {
    fprintf(stderr, "usage: durable-loop FILE DEPTH BYTES MILLISECONDS\n");
    return 2;
  }
  char *memory;
  const size_t memory_bytes = (size_t)(depth * bytes > 1 << 20 ? depth * bytes : 1 << 20);
  if (posix_memalign((void **)&memory, ALIGNMENT, memory_bytes) != 0) fail("memory");
  memset(memory, 1, memory_bytes);
  const int fd = open(argv[1], O_RDWR | O_CREAT | O_DIRECT, 0644);
  if (fd < 0) fail("open");
  write_before(fd, memory);
  set_up((unsigned)depth);

  static struct loop loop;
  loop.fd = fd;
  loop.memory = memory;
  loop.bytes = bytes;
  loop.blocks = FILE_BYTES / bytes;
  size_t latencies_room = 1 << 16, writes = 0;
  double *latencies = malloc(latencies_room * sizeof *latencies);
  if (latencies == NULL) fail("memory");
  const double start = now_us();
  double now = start;
  for (long slot = 0; slot < depth; slot++) put_in(&loop, (uint64_t)slot, now);
  while (loop.under_way > 0) {
    const int taken = (int)syscall(__NR_io_uring_enter, ring.fd, loop.to_submit, 1, IORING_ENTER_GETEVENTS, NULL, 0);
    if (taken < 0 && errno != EINTR) fail("io_uring_enter");
    if (taken > 0) loop.to_submit -= (unsigned)taken;
    now = now_us();
    unsigned head = *ring.cq_head;
    for (; head != __atomic_load_n(ring.cq_tail, __ATOMIC_ACQUIRE); head++) {
      const struct io_uring_cqe *cqe = &ring.cqes[head & *ring.cq_mask];
      if (cqe->res != bytes) {
        errno = cqe->res < 0 ? -cqe->res : EIO;
        fail("durable write");
      }
      const uint64_t slot = cqe->user_data;
      loop.under_way--;
      if (writes == latencies_room) {
        latencies_room *= 2;
        latencies = realloc(latencies, latencies_room * sizeof *latencies);
        if (latencies == NULL) fail("memory");
      }
      latencies[writes++] = now - loop.begun[slot];
      if (now - start < duration_us) put_in(&loop, slot, now);
    }
    __atomic_store_n(ring.cq_head, head, __ATOMIC_RELEASE);
  }
  const double elapsed = now - start;
  qsort(latencies, writes, sizeof *latencies, ascending);
  const double p50 = latencies[writes / 2];
  double all = 0, slow = 0;
  for (size_t index = 0; index < writes; index++) {
    all += latencies[index];
    if (latencies[index] > 3 * p50) slow += latencies[index];
  }
  printf("{\"writes\": %zu, \"elapsedMs\": %.3f, \"p50Us\": %.1f, \"p99Us\": %.1f, \"p999Us\": %.1f, \"slow\": %.4f}\n",
         writes, elapsed / 1e3, p50, latencies[writes * 99 / 100], latencies[writes * 999 / 1000], slow / all);
  return 0;
}
