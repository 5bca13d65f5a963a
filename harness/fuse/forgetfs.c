// forgetfs: a FUSE file system for tests. It passes everything through to a directory, counts what reaches it, fails,
// shortens or delays operations when told to, and forgets what was not synced, as a machine does that loses its power.
//
// Build: cc -O2 -Wall -o forgetfs forgetfs.c $(pkg-config --cflags --libs fuse3)
#define FUSE_USE_VERSION 31
#define _GNU_SOURCE

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <ftw.h>
#include <fuse.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

static const char usage_text[] =
    "usage: forgetfs [options] STATE MOUNTPOINT\n"
    "\n"
    "STATE is a directory; the files lie in STATE/files, and in STATE/removed what was removed and may have to come back.\n"
    "It stays in the foreground and prints \"mounted\" when it is. SIGTERM unmounts it.\n"
    "\n"
    "options\n"
    "  --direct-io         every file is opened past the page cache of the kernel, whatever its flags\n"
    "  --no-async-direct   direct I/O is carried out one after another (the default is asynchronous, as libfuse has it)\n"
    "  --writeback         the kernel keeps what is written, and writes it back later\n"
    "  --honour-dsync      a write with O_DSYNC is durable\n"
    "  --no-fallocate      reserving a range is EOPNOTSUPP\n"
    "  --locks=ERRNO       locks of open files and flock fail with this error; without it the kernel has them\n"
    "  -o OPTION           an option of the mount\n"
    "\n"
    "/.control in the mount is not listed. Reading it gives the counts as JSON. Written to it, a line each:\n"
    "  fail OP N ERRNO [TIMES [PATTERN]]    the N-th OP from now on, and TIMES - 1 behind it, fail with ERRNO\n"
    "  short OP N BYTES [TIMES [PATTERN]]   they move so many bytes only (write, read)\n"
    "  delay OP N MS [TIMES [PATTERN]]      they begin so much later\n"
    "       OP: open create read write truncate allocate fsync fdatasync sync (fsync or fdatasync) fsyncdir flush rename\n"
    "       unlink mkdir rmdir link list lock any. TIMES: default 1, 0 for ever. PATTERN: of the file's name, default *.\n"
    "       N counts only what matches. A sync that is made to fail loses what it should have made durable: as with Linux,\n"
    "       it can still be read, and no later sync brings it to the disk unless it is written again.\n"
    "  clear            forgets all of these rules\n"
    "  reset            counts from 0 again\n"
    "  forget           brings every file and name back to what was synced, and goes on\n"
    "  cut              the same, and everything fails with EIO from then on: unmount, and mount again\n"
    "  leave            from then on nothing is forgotten: everything counts as synced once\n"
    "\n"
    "What is synced: the bytes and the size of a file by fsync or fdatasync of it, a name by fsync of its directory.\n"
    "A directory that is renamed is so at once, and stays so.\n";

// What is counted, and what rules are about.
enum op {
  OP_OPEN, OP_CREATE, OP_READ, OP_WRITE, OP_TRUNCATE, OP_ALLOCATE, OP_FSYNC, OP_FDATASYNC, OP_FSYNCDIR, OP_FLUSH,
  OP_RENAME, OP_UNLINK, OP_MKDIR, OP_RMDIR, OP_LINK, OP_LIST, OP_LOCK, OP_COUNT,
  // Only of rules.
  OP_SYNC = OP_COUNT, OP_ANY, OP_NONE
};

static const char *const op_names[] = {"open",     "create",   "read",  "write",  "truncate", "allocate", "fsync",
                                       "fdatasync", "fsyncdir", "flush", "rename", "unlink",   "mkdir",    "rmdir",
                                       "link",     "list",     "lock",  "sync",   "any"};

static const struct { const char *name; int number; } errors[] = {
    {"EIO", EIO},       {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"ENOSYS", ENOSYS}, {"EOPNOTSUPP", EOPNOTSUPP},
    {"EINVAL", EINVAL}, {"ENOLCK", ENOLCK}, {"EAGAIN", EAGAIN}, {"EINTR", EINTR},   {"EROFS", EROFS},
    {"EACCES", EACCES}, {"EPERM", EPERM},   {"EMFILE", EMFILE}, {"ENFILE", ENFILE}, {"ENOENT", ENOENT},
    {"EBUSY", EBUSY},   {"ESTALE", ESTALE}, {"EEXIST", EEXIST}, {"EFBIG", EFBIG},   {"ENOMEM", ENOMEM},
    {"EXDEV", EXDEV},   {"EMLINK", EMLINK}, {"ETIMEDOUT", ETIMEDOUT},
};

struct counts {
  long ops[OP_COUNT];
  long bytes_written;
  long dsync_writes;  // writes that came with O_DSYNC or O_SYNC
  long bytes_read;
};

// How to take back one change of a file's bytes. Newer changes are taken back first.
struct undo {
  struct undo *older;
  off_t offset;
  size_t length;
  char *bytes;       // zeros behind the end that the file had
  off_t size_before; // not of what is lost
  bool lost;         // a sync of it has failed: it stays unsynced until it is written again
};

// A file of the directory underneath, as long as it exists there.
struct node {
  struct node *next;
  dev_t device;
  ino_t inode;
  int fd;  // to take changes back by; -1 while there are none
  char *name;
  struct counts counts;
  struct undo *newest;
};

enum change_kind { CHANGE_MADE, CHANGE_MADE_DIRECTORY, CHANGE_REMOVED, CHANGE_REMOVED_DIRECTORY, CHANGE_RENAMED };

// How to take back one change of names. Newer changes are taken back first.
struct change {
  struct change *older;
  enum change_kind kind;
  char *from;      // of a rename
  char *path;
  long kept_as;    // the number in STATE/removed of what was removed or replaced; -1: nothing was
};

enum action { ACTION_FAIL, ACTION_SHORT, ACTION_DELAY };

struct rule {
  struct rule *next;
  enum action action;
  int op;
  long before;  // that many pass first
  long times;   // -1: for ever
  int value;
  char pattern[NAME_MAX + 1];
};

struct handle {
  int fd;             // -1: the control file
  struct node *node;  // of a file
  char *path;         // of a directory
  DIR *directory;
  char *reply;        // of the control file
  size_t reply_length;
};

static struct {
  char *state;
  char *locks;
  int direct_io, no_async_direct, writeback, honour_dsync, no_fallocate, help;
} options;

#define OPTION(text, field) {text, offsetof(__typeof__(options), field), 1}
static const struct fuse_opt option_specs[] = {
    OPTION("--direct-io", direct_io),
    OPTION("--no-async-direct", no_async_direct),
    OPTION("--writeback", writeback),
    OPTION("--honour-dsync", honour_dsync),
    OPTION("--no-fallocate", no_fallocate),
    OPTION("--help", help),
    OPTION("-h", help),
    {"--locks=%s", offsetof(__typeof__(options), locks), 0},
    FUSE_OPT_END,
};

#define NODE_BUCKETS 1024

// Everything below is touched only under the lock.
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int files_fd = -1;    // STATE/files
static int removed_fd = -1;  // STATE/removed
static long removed_next = 0;
static struct node *nodes[NODE_BUCKETS];
static struct change *newest_change = NULL;
static struct rule *rules = NULL;
static struct counts total;
static bool is_cut = false;
static bool keeps_all = false;
static int lock_error = 0;

static const char control_path[] = "/.control";

static bool is_control(const char *path) { return path != NULL && strcmp(path, control_path) == 0; }

// Paths begin with a slash, and the root is "/".
static const char *below(const char *path) { return path[1] == 0 ? "." : path + 1; }

static void *must(void *memory) {
  if (memory == NULL) abort();
  return memory;
}

static char *copy_of(const char *text) { return must(strdup(text)); }

static char *parent_of(const char *path) {
  char *parent = copy_of(path);
  char *slash = strrchr(parent, '/');
  if (slash == parent) slash++;
  *slash = 0;
  return parent;
}

static int result_of(int result) { return result < 0 ? -errno : result; }

// Files ----------------------------------------------------------------------------------------------------------------

static struct node *node_of(int fd, const char *name) {
  struct stat about;
  if (fstat(fd, &about) != 0) return NULL;
  struct node **bucket = &nodes[about.st_ino % NODE_BUCKETS];
  struct node *node = *bucket;
  while (node != NULL && (node->inode != about.st_ino || node->device != about.st_dev)) node = node->next;
  if (node == NULL) {
    node = must(calloc(1, sizeof *node));
    node->device = about.st_dev;
    node->inode = about.st_ino;
    node->fd = -1;
    node->next = *bucket;
    *bucket = node;
  }
  if (name != NULL) {
    free(node->name);
    node->name = copy_of(name);
  }
  return node;
}

static void node_renamed(const char *path) {
  const int fd = openat(files_fd, below(path), O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return;
  struct stat about;
  if (fstat(fd, &about) == 0 && S_ISREG(about.st_mode)) node_of(fd, path);
  close(fd);
}

static void free_undo(struct undo *undo) {
  free(undo->bytes);
  free(undo);
}

static void no_undo_left(struct node *node) {
  if (node->newest != NULL || node->fd < 0) return;
  close(node->fd);
  node->fd = -1;
}

// The file is about to be removed for good: its number may be given to another one.
static void node_is_gone(int fd) {
  struct node *node = node_of(fd, NULL);
  if (node == NULL) return;
  while (node->newest != NULL) {
    struct undo *undo = node->newest;
    node->newest = undo->older;
    free_undo(undo);
  }
  no_undo_left(node);
  node->inode = 0;
}

// Notes what stands in a range that is about to change. Returns 0 or a negative errno.
static int note_bytes(struct node *node, int fd, off_t offset, size_t length) {
  if (keeps_all) return 0;
  struct stat about;
  if (fstat(fd, &about) != 0) return -errno;
  if (node->fd < 0) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    node->fd = open(path, O_RDWR | O_CLOEXEC);
    if (node->fd < 0) return -errno;
  }
  struct undo *undo = must(calloc(1, sizeof *undo));
  undo->offset = offset;
  undo->length = length;
  undo->size_before = about.st_size;
  undo->bytes = must(calloc(1, length == 0 ? 1 : length));
  for (size_t done = 0; done < length;) {
    const ssize_t count = pread(node->fd, undo->bytes + done, length - done, offset + (off_t)done);
    if (count < 0) {
      const int error = errno;
      free_undo(undo);
      return -error;
    }
    if (count == 0) break;
    done += (size_t)count;
  }
  undo->older = node->newest;
  node->newest = undo;
  return 0;
}

// What was lost and is written again is lost no more.
static void subtract(struct undo **place, off_t from, off_t to) {
  struct undo *lost = *place;
  const off_t end = lost->offset + (off_t)lost->length;
  if (to <= lost->offset || from >= end) return;
  if (to < end) {
    struct undo *rest = must(calloc(1, sizeof *rest));
    rest->offset = to;
    rest->length = (size_t)(end - to);
    rest->lost = true;
    rest->bytes = must(malloc(rest->length));
    memcpy(rest->bytes, lost->bytes + (to - lost->offset), rest->length);
    rest->older = lost->older;
    lost->older = rest;
  }
  if (from > lost->offset) {
    lost->length = (size_t)(from - lost->offset);
  } else {
    *place = lost->older;
    free_undo(lost);
  }
}

// A sync of a file has succeeded.
static void keep_bytes(struct node *node) {
  for (struct undo **place = &node->newest; *place != NULL;) {
    struct undo *undo = *place;
    if (undo->lost) {
      place = &undo->older;
      continue;
    }
    *place = undo->older;
    const off_t end = undo->offset + (off_t)undo->length;
    for (struct undo **older = place; *older != NULL;) {
      struct undo *const before = *older;
      if (before->lost) subtract(older, undo->offset, end);
      if (*older == before) older = &before->older;
    }
    free_undo(undo);
  }
  no_undo_left(node);
}

// A sync of a file has failed.
static void lose_bytes(struct node *node) {
  for (struct undo *undo = node->newest; undo != NULL; undo = undo->older) undo->lost = true;
}

static void forget_bytes(struct node *node) {
  while (node->newest != NULL) {
    struct undo *undo = node->newest;
    node->newest = undo->older;
    size_t length = undo->length;
    struct stat about;
    if (undo->lost && fstat(node->fd, &about) == 0) {
      const off_t left = about.st_size - undo->offset;
      if (left < (off_t)length) length = left < 0 ? 0 : (size_t)left;
    }
    for (size_t done = 0; done < length;) {
      const ssize_t count = pwrite(node->fd, undo->bytes + done, length - done, undo->offset + (off_t)done);
      if (count <= 0) abort();
      done += (size_t)count;
    }
    if (!undo->lost && ftruncate(node->fd, undo->size_before) != 0) abort();
    free_undo(undo);
  }
  no_undo_left(node);
}

// Names ----------------------------------------------------------------------------------------------------------------

static void removed_name(long number, char *name, size_t bytes) { snprintf(name, bytes, "%ld", number); }

static void free_change(struct change *change) {
  free(change->from);
  free(change->path);
  free(change);
}

// What was removed need not come back any more.
static void drop_removed(struct change *change) {
  if (change->kept_as < 0) return;
  char name[32];
  removed_name(change->kept_as, name, sizeof name);
  const int fd = openat(removed_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd >= 0) {
    struct stat about;
    if (fstat(fd, &about) == 0 && about.st_nlink == 1) node_is_gone(fd);
    close(fd);
  }
  unlinkat(removed_fd, name, 0);
}

static void note_change(enum change_kind kind, const char *from, const char *path, long kept_as) {
  struct change *change = must(calloc(1, sizeof *change));
  change->kind = kind;
  change->from = from == NULL ? NULL : copy_of(from);
  change->path = copy_of(path);
  change->kept_as = kept_as;
  if (keeps_all) {
    drop_removed(change);
    free_change(change);
    return;
  }
  change->older = newest_change;
  newest_change = change;
}

// Moves a file aside. Returns its number, or a negative errno.
static long set_aside(const char *path) {
  char name[32];
  const long number = removed_next++;
  removed_name(number, name, sizeof name);
  return renameat(files_fd, below(path), removed_fd, name) == 0 ? number : -errno;
}

static bool is_in(const char *path, const char *directory) {
  char *parent = parent_of(path);
  const bool same = strcmp(parent, directory) == 0;
  free(parent);
  return same;
}

// A sync of a directory has succeeded; NULL: of every one.
static void keep_names(const char *directory) {
  for (struct change **place = &newest_change; *place != NULL;) {
    struct change *change = *place;
    if (directory != NULL && !is_in(change->path, directory) &&
        (change->from == NULL || !is_in(change->from, directory))) {
      place = &change->older;
      continue;
    }
    *place = change->older;
    drop_removed(change);
    free_change(change);
  }
}

static int remove_entry(const char *path, const struct stat *about, int kind, struct FTW *where) {
  (void)about, (void)kind, (void)where;
  return remove(path);
}

static void forget_names(void) {
  while (newest_change != NULL) {
    struct change *change = newest_change;
    newest_change = change->older;
    char name[32];
    char whole[PATH_MAX];
    switch (change->kind) {
      case CHANGE_MADE: {
        const int fd = openat(files_fd, below(change->path), O_PATH | O_NOFOLLOW | O_CLOEXEC);
        struct stat about;
        if (fd >= 0 && fstat(fd, &about) == 0 && about.st_nlink == 1) node_is_gone(fd);
        if (fd >= 0) close(fd);
        unlinkat(files_fd, below(change->path), 0);
        break;
      }
      case CHANGE_MADE_DIRECTORY:
        snprintf(whole, sizeof whole, "%s/files%s", options.state, change->path);
        nftw(whole, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
        break;
      case CHANGE_REMOVED_DIRECTORY:
        mkdirat(files_fd, below(change->path), 0777);
        break;
      case CHANGE_RENAMED:
        renameat(files_fd, below(change->path), files_fd, below(change->from));
        node_renamed(change->from);
        // fall through
      case CHANGE_REMOVED:
        if (change->kept_as >= 0) {
          removed_name(change->kept_as, name, sizeof name);
          renameat(removed_fd, name, files_fd, below(change->path));
          node_renamed(change->path);
        }
        break;
    }
    free_change(change);
  }
}

static void forget_all(void) {
  for (size_t index = 0; index < NODE_BUCKETS; index++) {
    for (struct node *node = nodes[index]; node != NULL; node = node->next) forget_bytes(node);
  }
  forget_names();
}

static void keep_everything(void) {
  for (size_t index = 0; index < NODE_BUCKETS; index++) {
    for (struct node *node = nodes[index]; node != NULL; node = node->next) {
      for (struct undo *undo = node->newest; undo != NULL; undo = undo->older) undo->lost = false;
      keep_bytes(node);
    }
  }
  keep_names(NULL);
}

// A directory is renamed: what was changed in it has other names now.
static void rename_in_changes(const char *from, const char *to) {
  const size_t length = strlen(from);
  for (struct change *change = newest_change; change != NULL; change = change->older) {
    char **const paths[] = {&change->from, &change->path};
    for (size_t index = 0; index < 2; index++) {
      char *path = *paths[index];
      if (path == NULL || strncmp(path, from, length) != 0 || (path[length] != '/' && path[length] != 0)) continue;
      char *renamed = must(malloc(strlen(to) + strlen(path + length) + 1));
      strcat(strcpy(renamed, to), path + length);
      free(path);
      *paths[index] = renamed;
    }
  }
}

// Rules ----------------------------------------------------------------------------------------------------------------

static bool matches(const struct rule *rule, enum op op, const char *path) {
  if (rule->op != OP_ANY && rule->op != (int)op && !(rule->op == OP_SYNC && (op == OP_FSYNC || op == OP_FDATASYNC))) {
    return false;
  }
  const char *slash = path == NULL ? NULL : strrchr(path, '/');
  return fnmatch(rule->pattern, slash == NULL ? "" : slash + 1, 0) == 0;
}

static void sleep_ms(long ms) {
  struct timespec left = {ms / 1000, (ms % 1000) * 1000000};
  while (nanosleep(&left, &left) != 0 && errno == EINTR) continue;
}

// Begins an operation: counts it and finds out what is to become of it. On return the lock is held. Returns 0 or a
// negative errno, with which the operation is over; `*bytes_most` is how much it may move.
static int begin(enum op op, const char *path, struct node *node, size_t *bytes_most) {
  int error = 0;
  long delay = 0;
  pthread_mutex_lock(&lock);
  total.ops[op]++;
  if (node != NULL) node->counts.ops[op]++;
  if (path == NULL && node != NULL) path = node->name;
  for (struct rule **place = &rules; *place != NULL;) {
    struct rule *rule = *place;
    if (!matches(rule, op, path)) {
      place = &rule->next;
      continue;
    }
    if (rule->before > 0) {
      rule->before--;
      place = &rule->next;
      continue;
    }
    if (rule->action == ACTION_FAIL && error == 0) error = -rule->value;
    if (rule->action == ACTION_DELAY) delay += rule->value;
    if (rule->action == ACTION_SHORT && bytes_most != NULL && *bytes_most > (size_t)rule->value) {
      *bytes_most = (size_t)rule->value;
    }
    if (rule->times > 0 && --rule->times == 0) {
      *place = rule->next;
      free(rule);
    } else {
      place = &rule->next;
    }
  }
  if (delay > 0) {
    pthread_mutex_unlock(&lock);
    sleep_ms(delay);
    pthread_mutex_lock(&lock);
  }
  return is_cut ? -EIO : error;
}

// Ends an operation, and returns its result.
static int end(int result) {
  pthread_mutex_unlock(&lock);
  return result;
}

static int number_of_op(const char *name) {
  for (int op = 0; op < OP_NONE; op++) {
    if (strcmp(name, op_names[op]) == 0) return op;
  }
  return OP_NONE;
}

static int number_of_error(const char *name) {
  for (size_t index = 0; index < sizeof errors / sizeof errors[0]; index++) {
    if (strcmp(name, errors[index].name) == 0) return errors[index].number;
  }
  return 0;
}

// Carries out a line that was written to the control file. Returns 0 or a negative errno.
static int command(char *line) {
  char verb[16] = "", op[16] = "", value[32] = "", pattern[NAME_MAX + 1] = "*";
  long n = 0, times = 1;
  const int words = sscanf(line, "%15s %15s %ld %31s %ld %255s", verb, op, &n, value, &times, pattern);
  if (words <= 0) return 0;
  if (words == 1) {
    if (strcmp(verb, "clear") == 0) {
      while (rules != NULL) {
        struct rule *rule = rules;
        rules = rule->next;
        free(rule);
      }
    } else if (strcmp(verb, "reset") == 0) {
      memset(&total, 0, sizeof total);
      for (size_t index = 0; index < NODE_BUCKETS; index++) {
        for (struct node *node = nodes[index]; node != NULL; node = node->next) {
          memset(&node->counts, 0, sizeof node->counts);
        }
      }
    } else if (strcmp(verb, "forget") == 0) {
      forget_all();
    } else if (strcmp(verb, "cut") == 0) {
      forget_all();
      is_cut = true;
    } else if (strcmp(verb, "leave") == 0) {
      keep_everything();
      keeps_all = true;
    } else {
      return -EINVAL;
    }
    return 0;
  }
  struct rule rule = {.op = number_of_op(op), .before = n - 1, .times = times == 0 ? -1 : times};
  if (words < 4 || rule.op == OP_NONE || n < 1 || times < 0) return -EINVAL;
  if (strcmp(verb, "fail") == 0) {
    rule.action = ACTION_FAIL;
    rule.value = number_of_error(value);
    if (rule.value == 0) return -EINVAL;
  } else {
    char *rest;
    const long number = strtol(value, &rest, 10);
    if (*rest != 0 || number < 0 || number > INT_MAX) return -EINVAL;
    rule.action = strcmp(verb, "short") == 0 ? ACTION_SHORT : ACTION_DELAY;
    if (rule.action == ACTION_DELAY && strcmp(verb, "delay") != 0) return -EINVAL;
    rule.value = (int)number;
  }
  strcpy(rule.pattern, pattern);
  struct rule **last = &rules;
  while (*last != NULL) last = &(*last)->next;
  *last = must(malloc(sizeof rule));
  **last = rule;
  return 0;
}

static int commands(const char *text, size_t length) {
  char *copy = must(strndup(text, length));
  char *rest = copy;
  int result = 0;
  pthread_mutex_lock(&lock);
  for (char *line; result == 0 && (line = strsep(&rest, "\n")) != NULL;) result = command(line);
  pthread_mutex_unlock(&lock);
  free(copy);
  return result < 0 ? result : (int)length;
}

static void print_string(FILE *out, const char *text) {
  fputc('"', out);
  for (const unsigned char *at = (const unsigned char *)text; *at != 0; at++) {
    if (*at == '"' || *at == '\\') fputc('\\', out);
    if (*at < ' ') fprintf(out, "\\u%04x", *at);
    else fputc(*at, out);
  }
  fputc('"', out);
}

static void print_counts(FILE *out, const struct counts *counts) {
  fputc('{', out);
  for (int op = 0; op < OP_COUNT; op++) fprintf(out, "\"%s\":%ld,", op_names[op], counts->ops[op]);
  fprintf(out, "\"bytesWritten\":%ld,\"dsyncWrites\":%ld,\"bytesRead\":%ld", counts->bytes_written,
          counts->dsync_writes, counts->bytes_read);
}

static void reply(struct handle *handle) {
  FILE *out = open_memstream(&handle->reply, &handle->reply_length);
  if (out == NULL) abort();
  pthread_mutex_lock(&lock);
  fputs("{\"total\":", out);
  print_counts(out, &total);
  fputs("},\"files\":{", out);
  bool first = true;
  for (size_t index = 0; index < NODE_BUCKETS; index++) {
    for (struct node *node = nodes[index]; node != NULL; node = node->next) {
      if (node->inode == 0 || node->name == NULL) continue;
      if (!first) fputc(',', out);
      first = false;
      print_string(out, node->name + 1);
      fputc(':', out);
      print_counts(out, &node->counts);
      long unsynced = 0, lost = 0;
      for (struct undo *undo = node->newest; undo != NULL; undo = undo->older) (undo->lost ? lost++ : unsynced++);
      fprintf(out, ",\"unsynced\":%ld,\"lost\":%ld}", unsynced, lost);
    }
  }
  long names = 0, waiting = 0;
  for (struct change *change = newest_change; change != NULL; change = change->older) names++;
  for (struct rule *rule = rules; rule != NULL; rule = rule->next) waiting++;
  fprintf(out, "},\"unsyncedNames\":%ld,\"rules\":%ld,\"cut\":%s}\n", names, waiting, is_cut ? "true" : "false");
  pthread_mutex_unlock(&lock);
  fclose(out);
}

// Operations -----------------------------------------------------------------------------------------------------------

static struct handle *handle_of(const struct fuse_file_info *fi) {
  return fi == NULL ? NULL : (struct handle *)(uintptr_t)fi->fh;
}

static int fs_getattr(const char *path, struct stat *about, struct fuse_file_info *fi) {
  const struct handle *handle = handle_of(fi);
  if (is_control(path) || (handle != NULL && handle->fd < 0)) {
    memset(about, 0, sizeof *about);
    about->st_mode = S_IFREG | 0600;
    about->st_nlink = 1;
    about->st_ino = 1;
    return 0;
  }
  if (handle != NULL) return result_of(fstat(handle->fd, about));
  return result_of(fstatat(files_fd, below(path), about, AT_SYMLINK_NOFOLLOW));
}

static int fs_readlink(const char *path, char *text, size_t bytes) {
  const ssize_t length = readlinkat(files_fd, below(path), text, bytes - 1);
  if (length < 0) return -errno;
  text[length] = 0;
  return 0;
}

static int give_handle(struct fuse_file_info *fi, int fd, const char *path) {
  struct handle *handle = must(calloc(1, sizeof *handle));
  handle->fd = fd;
  if (fd >= 0) handle->node = must(node_of(fd, path));
  fi->fh = (uintptr_t)handle;
  fi->direct_io = options.direct_io || fd < 0;
  return 0;
}

// Opened to be read and written, so that changes can be taken back; the kernel sees to what the caller may do.
static int backing_flags(int flags) { return (flags & (O_CREAT | O_EXCL)) | O_RDWR | O_CLOEXEC | O_NOFOLLOW; }

static int fs_open(const char *path, struct fuse_file_info *fi) {
  if (is_control(path)) {
    give_handle(fi, -1, path);
    reply(handle_of(fi));
    return 0;
  }
  const int error = begin(OP_OPEN, path, NULL, NULL);
  if (error != 0) return end(error);
  const int fd = openat(files_fd, below(path), backing_flags(fi->flags));
  return end(fd < 0 ? -errno : give_handle(fi, fd, path));
}

static int fs_create(const char *path, mode_t mode, struct fuse_file_info *fi) {
  if (is_control(path)) return fs_open(path, fi);
  const int error = begin(OP_CREATE, path, NULL, NULL);
  if (error != 0) return end(error);
  const int fd = openat(files_fd, below(path), backing_flags(fi->flags | O_CREAT | O_EXCL), mode);
  if (fd < 0) return end(-errno);
  note_change(CHANGE_MADE, NULL, path, -1);
  return end(give_handle(fi, fd, path));
}

static int fs_read(const char *path, char *into, size_t bytes, off_t offset, struct fuse_file_info *fi) {
  struct handle *handle = handle_of(fi);
  if (handle->fd < 0) {
    if ((size_t)offset >= handle->reply_length) return 0;
    const size_t left = handle->reply_length - (size_t)offset;
    memcpy(into, handle->reply + offset, left < bytes ? left : bytes);
    return (int)(left < bytes ? left : bytes);
  }
  const int error = begin(OP_READ, path, handle->node, &bytes);
  if (error != 0) return end(error);
  const ssize_t count = pread(handle->fd, into, bytes, offset);
  if (count < 0) return end(-errno);
  handle->node->counts.bytes_read += count;
  total.bytes_read += count;
  return end((int)count);
}

static int fs_write(const char *path, const char *data, size_t bytes, off_t offset, struct fuse_file_info *fi) {
  struct handle *handle = handle_of(fi);
  if (handle->fd < 0) return commands(data, bytes);
  const int error = begin(OP_WRITE, path, handle->node, &bytes);
  if (error != 0) return end(error);
  struct node *node = handle->node;
  const int noted = note_bytes(node, handle->fd, offset, bytes);
  if (noted != 0) return end(noted);
  const ssize_t count = pwrite(handle->fd, data, bytes, offset);
  if (count < 0) return end(-errno);
  node->counts.bytes_written += count;
  total.bytes_written += count;
  if ((fi->flags & O_DSYNC) != 0) {
    node->counts.dsync_writes++;
    total.dsync_writes++;
    if (options.honour_dsync) keep_bytes(node);
  }
  return end((int)count);
}

static int fs_truncate(const char *path, off_t size, struct fuse_file_info *fi) {
  struct handle *handle = handle_of(fi);
  if (is_control(path) || (handle != NULL && handle->fd < 0)) return 0;
  const int fd = handle != NULL ? handle->fd : openat(files_fd, below(path), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return -errno;
  pthread_mutex_lock(&lock);
  struct node *node = node_of(fd, NULL);
  pthread_mutex_unlock(&lock);
  int result = begin(OP_TRUNCATE, path, node, NULL);
  struct stat about;
  if (result == 0) result = result_of(fstat(fd, &about));
  if (result == 0) {
    const off_t cut = about.st_size > size ? about.st_size - size : 0;
    result = note_bytes(node, fd, size, (size_t)cut);
  }
  if (result == 0) result = result_of(ftruncate(fd, size));
  if (handle == NULL) close(fd);
  return end(result);
}

static int fs_fallocate(const char *path, int mode, off_t offset, off_t bytes, struct fuse_file_info *fi) {
  struct handle *handle = handle_of(fi);
  if (handle->fd < 0) return -EOPNOTSUPP;
  int result = begin(OP_ALLOCATE, path, handle->node, NULL);
  if (result == 0 && (options.no_fallocate || (mode & ~FALLOC_FL_KEEP_SIZE) != 0)) result = -EOPNOTSUPP;
  // What is there stays as it is; the file may become longer.
  if (result == 0) result = note_bytes(handle->node, handle->fd, offset, 0);
  if (result == 0) result = result_of(fallocate(handle->fd, mode, offset, bytes));
  return end(result);
}

static int fs_fsync(const char *path, int data_only, struct fuse_file_info *fi) {
  struct handle *handle = handle_of(fi);
  if (handle->fd < 0) return 0;
  const int error = begin(data_only ? OP_FDATASYNC : OP_FSYNC, path, handle->node, NULL);
  if (error == 0) keep_bytes(handle->node);
  else if (!is_cut) lose_bytes(handle->node);
  return end(error);
}

static int fs_flush(const char *path, struct fuse_file_info *fi) {
  struct handle *handle = handle_of(fi);
  if (handle->fd < 0) return 0;
  const int error = begin(OP_FLUSH, path, handle->node, NULL);
  // A file can be closed whatever has become of the disk.
  return end(is_cut ? 0 : error);
}

static int fs_release(const char *path, struct fuse_file_info *fi) {
  (void)path;
  struct handle *handle = handle_of(fi);
  if (handle->fd >= 0) close(handle->fd);
  free(handle->reply);
  free(handle);
  return 0;
}

static int fs_opendir(const char *path, struct fuse_file_info *fi) {
  const int fd = openat(files_fd, below(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return -errno;
  struct handle *handle = must(calloc(1, sizeof *handle));
  handle->fd = fd;
  handle->path = copy_of(path);
  handle->directory = must(fdopendir(fd));
  fi->fh = (uintptr_t)handle;
  return 0;
}

static int fs_readdir(const char *path, void *buffer, fuse_fill_dir_t fill, off_t offset, struct fuse_file_info *fi,
                      enum fuse_readdir_flags flags) {
  (void)path, (void)offset, (void)flags;
  struct handle *handle = handle_of(fi);
  const int error = begin(OP_LIST, handle->path, NULL, NULL);
  if (error != 0) return end(error);
  rewinddir(handle->directory);
  for (struct dirent *entry; (entry = readdir(handle->directory)) != NULL;) {
    const struct stat about = {.st_ino = entry->d_ino, .st_mode = DTTOIF(entry->d_type)};
    if (fill(buffer, entry->d_name, &about, 0, 0) != 0) break;
  }
  return end(0);
}

static int fs_fsyncdir(const char *path, int data_only, struct fuse_file_info *fi) {
  (void)path, (void)data_only;
  struct handle *handle = handle_of(fi);
  const int error = begin(OP_FSYNCDIR, handle->path, NULL, NULL);
  if (error == 0) keep_names(handle->path);
  return end(error);
}

static int fs_releasedir(const char *path, struct fuse_file_info *fi) {
  (void)path;
  struct handle *handle = handle_of(fi);
  closedir(handle->directory);
  free(handle->path);
  free(handle);
  return 0;
}

static int fs_mkdir(const char *path, mode_t mode) {
  int result = begin(OP_MKDIR, path, NULL, NULL);
  if (result == 0) result = result_of(mkdirat(files_fd, below(path), mode));
  if (result == 0) note_change(CHANGE_MADE_DIRECTORY, NULL, path, -1);
  return end(result);
}

static int fs_rmdir(const char *path) {
  int result = begin(OP_RMDIR, path, NULL, NULL);
  if (result == 0) result = result_of(unlinkat(files_fd, below(path), AT_REMOVEDIR));
  if (result == 0) note_change(CHANGE_REMOVED_DIRECTORY, NULL, path, -1);
  return end(result);
}

static int fs_unlink(const char *path) {
  int result = begin(OP_UNLINK, path, NULL, NULL);
  if (result == 0) {
    const long kept_as = set_aside(path);
    if (kept_as < 0) result = (int)kept_as;
    else note_change(CHANGE_REMOVED, NULL, path, kept_as);
  }
  return end(result);
}

static int fs_symlink(const char *target, const char *path) {
  pthread_mutex_lock(&lock);
  int result = is_cut ? -EIO : result_of(symlinkat(target, files_fd, below(path)));
  if (result == 0) note_change(CHANGE_MADE, NULL, path, -1);
  return end(result);
}

static int fs_link(const char *from, const char *to) {
  int result = begin(OP_LINK, to, NULL, NULL);
  if (result == 0) result = result_of(linkat(files_fd, below(from), files_fd, below(to), 0));
  if (result == 0) note_change(CHANGE_MADE, NULL, to, -1);
  return end(result);
}

static int rename_file(const char *from, const char *to, unsigned flags) {
  struct stat about;
  if (fstatat(files_fd, below(from), &about, AT_SYMLINK_NOFOLLOW) != 0) return -errno;
  struct stat target;
  const bool replaces = fstatat(files_fd, below(to), &target, AT_SYMLINK_NOFOLLOW) == 0;
  if (flags != 0 && flags != RENAME_NOREPLACE) return -EINVAL;
  if (replaces && flags == RENAME_NOREPLACE) return -EEXIST;
  if (replaces && target.st_ino == about.st_ino && target.st_dev == about.st_dev) return 0;
  if (S_ISDIR(about.st_mode) || (replaces && S_ISDIR(target.st_mode))) {
    if (renameat(files_fd, below(from), files_fd, below(to)) != 0) return -errno;
    rename_in_changes(from, to);
    return 0;
  }
  const long kept_as = replaces ? set_aside(to) : -1;
  if (replaces && kept_as < 0) return (int)kept_as;
  if (renameat(files_fd, below(from), files_fd, below(to)) != 0) return -errno;
  node_renamed(to);
  note_change(CHANGE_RENAMED, from, to, kept_as);
  return 0;
}

static int fs_rename(const char *from, const char *to, unsigned flags) {
  int result = begin(OP_RENAME, to, NULL, NULL);
  if (result == 0) result = rename_file(from, to, flags);
  return end(result);
}

static bool is_control_file(const char *path, const struct handle *handle) {
  return handle == NULL ? is_control(path) : handle->fd < 0;
}

static int fs_chmod(const char *path, mode_t mode, struct fuse_file_info *fi) {
  const struct handle *handle = handle_of(fi);
  if (is_control_file(path, handle)) return 0;
  return result_of(handle != NULL ? fchmod(handle->fd, mode) : fchmodat(files_fd, below(path), mode, 0));
}

static int fs_chown(const char *path, uid_t user, gid_t group, struct fuse_file_info *fi) {
  const struct handle *handle = handle_of(fi);
  if (is_control_file(path, handle)) return 0;
  return result_of(handle != NULL ? fchown(handle->fd, user, group)
                                  : fchownat(files_fd, below(path), user, group, AT_SYMLINK_NOFOLLOW));
}

static int fs_utimens(const char *path, const struct timespec times[2], struct fuse_file_info *fi) {
  const struct handle *handle = handle_of(fi);
  if (is_control_file(path, handle)) return 0;
  return result_of(handle != NULL ? futimens(handle->fd, times)
                                  : utimensat(files_fd, below(path), times, AT_SYMLINK_NOFOLLOW));
}

static int fs_statfs(const char *path, struct statvfs *about) {
  (void)path;
  return result_of(fstatvfs(files_fd, about));
}

static int fs_lock(const char *path, struct fuse_file_info *fi, int operation, struct flock *what) {
  (void)operation, (void)what;
  const int error = begin(OP_LOCK, path, handle_of(fi)->node, NULL);
  return end(error != 0 ? error : -lock_error);
}

static int fs_flock(const char *path, struct fuse_file_info *fi, int operation) {
  (void)operation;
  const int error = begin(OP_LOCK, path, handle_of(fi)->node, NULL);
  return end(error != 0 ? error : -lock_error);
}

static void *fs_init(struct fuse_conn_info *connection, struct fuse_config *config) {
  if (options.no_async_direct) connection->want &= ~(unsigned)FUSE_CAP_ASYNC_DIO;
  // Else what O_TRUNC asks for would come with the opening alone, and not as a change that can be taken back.
  connection->want &= ~(unsigned)FUSE_CAP_ATOMIC_O_TRUNC;
  if (options.writeback) connection->want |= connection->capable & FUSE_CAP_WRITEBACK_CACHE;
  connection->max_background = 256;
  config->use_ino = 1;
  config->nullpath_ok = 1;
  config->hard_remove = 1;
  // What is forgotten must not be remembered by the kernel.
  config->entry_timeout = 0;
  config->attr_timeout = 0;
  config->negative_timeout = 0;
  puts("mounted");
  fflush(stdout);
  return NULL;
}

static struct fuse_operations operations = {
    .init = fs_init,         .getattr = fs_getattr,       .readlink = fs_readlink,     .open = fs_open,
    .create = fs_create,     .read = fs_read,             .write = fs_write,           .truncate = fs_truncate,
    .fsync = fs_fsync,       .flush = fs_flush,           .release = fs_release,       .opendir = fs_opendir,
    .readdir = fs_readdir,   .fsyncdir = fs_fsyncdir,     .releasedir = fs_releasedir, .mkdir = fs_mkdir,
    .rmdir = fs_rmdir,       .unlink = fs_unlink,         .symlink = fs_symlink,       .link = fs_link,
    .rename = fs_rename,     .chmod = fs_chmod,           .chown = fs_chown,           .utimens = fs_utimens,
    .statfs = fs_statfs,     .fallocate = fs_fallocate,
};

// The first argument that is no option is STATE; what is left is libfuse's.
static int take_argument(void *data, const char *argument, int key, struct fuse_args *arguments) {
  (void)data, (void)arguments;
  if (key != FUSE_OPT_KEY_NONOPT || options.state != NULL) return 1;
  options.state = realpath(argument, NULL);
  return options.state == NULL ? -1 : 0;
}

static int open_below_state(const char *name) {
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/%s", options.state, name);
  if (mkdir(path, 0777) != 0 && errno != EEXIST) return -1;
  return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int main(int count, char **values) {
  struct fuse_args arguments = FUSE_ARGS_INIT(count, values);
  const int parsed = fuse_opt_parse(&arguments, &options, option_specs, take_argument);
  if (options.help || parsed != 0 || options.state == NULL) {
    fputs(usage_text, options.help ? stdout : stderr);
    return options.help ? 0 : 2;
  }
  if (options.locks != NULL) {
    lock_error = number_of_error(options.locks);
    if (lock_error == 0) {
      fprintf(stderr, "forgetfs: %s is no error that it knows\n", options.locks);
      return 2;
    }
    operations.lock = fs_lock;
    operations.flock = fs_flock;
  }
  umask(0);
  files_fd = open_below_state("files");
  removed_fd = open_below_state("removed");
  if (files_fd < 0 || removed_fd < 0) {
    perror("forgetfs: the directory of the state");
    return 1;
  }
  fuse_opt_add_arg(&arguments, "-f");
  fuse_opt_add_arg(&arguments, "-ofsname=forgetfs,subtype=forgetfs");
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 12)
  // What is delayed has a thread each, and the control file must be answered all the same.
  fuse_opt_add_arg(&arguments, "-omax_threads=512");
#endif
  return fuse_main(arguments.argc, arguments.argv, &operations, NULL);
}
