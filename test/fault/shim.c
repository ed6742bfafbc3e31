/*
 * Preloaded into imgtask by the fault tests: counts the calls it makes to the kernel below one directory, and at a
 * chosen one kills the process or lets the call fail. Its children never see it. What it is told:
 *
 *   FAULT_ROOT    count calls on paths below this directory
 *   FAULT_CALLS   which: any of w (changing calls on files), r (reading ones), p (processes, pipes and sockets)
 *   FAULT_AT      number of the first call that is hit, from 1; 0 only counts
 *   FAULT_FOR     how many calls are hit; 0 is all from then on
 *   FAULT_DO      "kill" before the call, "tear" half of a write and kill, or the number of an error
 *   FAULT_ONLY    count only calls whose "name path" holds this text
 *   FAULT_LOG     a line for each counted call is appended here
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static char root[PATH_MAX], only[256];
static size_t root_length;
static int want_w, want_r, want_p, kills, tears, error, log_fd = -1;
static long at, hits;
static pid_t self;
static atomic_long counter;

static void begin(void) __attribute__((constructor));
static void begin(void) {
  const char *value = getenv("FAULT_ROOT");
  if (value == NULL) return;
  strncpy(root, value, sizeof root - 1);
  root_length = strlen(root);
  if ((value = getenv("FAULT_ONLY")) != NULL) strncpy(only, value, sizeof only - 1);
  const char *calls = getenv("FAULT_CALLS");
  want_w = calls != NULL && strchr(calls, 'w') != NULL;
  want_r = calls != NULL && strchr(calls, 'r') != NULL;
  want_p = calls != NULL && strchr(calls, 'p') != NULL;
  at = (value = getenv("FAULT_AT")) != NULL ? atol(value) : 0;
  hits = (value = getenv("FAULT_FOR")) != NULL ? atol(value) : 1;
  value = getenv("FAULT_DO");
  tears = value != NULL && strcmp(value, "tear") == 0;
  kills = tears || (value != NULL && strcmp(value, "kill") == 0);
  error = value != NULL && !kills ? atoi(value) : 0;
  if ((value = getenv("FAULT_LOG")) != NULL) log_fd = open(value, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  /* Out of reach of the low numbers that a parent hands to its children. */
  if (log_fd >= 0) log_fd = fcntl(log_fd, F_DUPFD_CLOEXEC, 900);
  self = getpid();
  const char *own[] = {"LD_PRELOAD", "FAULT_ROOT", "FAULT_CALLS", "FAULT_AT", "FAULT_FOR", "FAULT_DO", "FAULT_ONLY", "FAULT_LOG"};
  for (size_t i = 0; i < sizeof own / sizeof *own; i++) unsetenv(own[i]);
}

static void end(void) {
  syscall(SYS_kill, getpid(), SIGKILL);
  for (;;) pause();
}

/* Counts a call; whether it is to be hit. */
static int counted(const char *name, const char *path) {
  char both[PATH_MAX + 32];
  snprintf(both, sizeof both, "%s %s", name, path);
  if (only[0] != 0 && strstr(both, only) == NULL) return 0;
  long number = atomic_fetch_add(&counter, 1) + 1;
  int hit = at > 0 && number >= at && (hits == 0 || number < at + hits);
  if (log_fd >= 0) {
    char line[PATH_MAX + 64];
    int length = snprintf(line, sizeof line, "%ld %s%s\n", number, both, hit ? " HIT" : "");
    syscall(SYS_write, log_fd, line, (size_t)length);
  }
  if (hit && kills && !tears) end();
  return hit;
}

static int on_path(int wanted, const char *name, const char *path) {
  if (!wanted || root_length == 0 || path == NULL || strncmp(path, root, root_length) != 0 || getpid() != self) return 0;
  return counted(name, path);
}

static int on_fd(int wanted, int wanted_other, const char *name, int fd) {
  if ((!wanted && !wanted_other) || root_length == 0 || fd == log_fd || getpid() != self) return 0;
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = syscall(SYS_readlink, link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  if (wanted && strncmp(path, root, root_length) == 0) return counted(name, path);
  if (wanted_other && fd > 2 && (strncmp(path, "socket:", 7) == 0 || strncmp(path, "pipe:", 5) == 0)) return counted(name, path);
  return 0;
}

#define NEXT(name) static __typeof__(&name) next; if (next == NULL) next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)
/* A hit call that did not kill: half of it and then the end, or the error. */
#define FAIL do { if (kills) end(); errno = error; return -1; } while (0)

static int opens(const char *path, int flags) {
  return (flags & (O_WRONLY | O_RDWR | O_CREAT)) != 0 ? on_path(want_w, "open for writing", path) : on_path(want_r, "open", path);
}

int open64(const char *path, int flags, ...) {
  NEXT(open64);
  va_list list;
  va_start(list, flags);
  mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(list, mode_t) : 0;
  va_end(list);
  if (opens(path, flags)) FAIL;
  return next(path, flags, mode);
}

ssize_t write(int fd, const void *bytes, size_t size) {
  NEXT(write);
  if (on_fd(want_w, want_p, "write", fd)) {
    if (tears) syscall(SYS_write, fd, bytes, size / 2);
    FAIL;
  }
  return next(fd, bytes, size);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset) {
  NEXT(pwrite64);
  if (on_fd(want_w, 0, "write", fd)) {
    if (tears) syscall(SYS_pwrite64, fd, bytes, size / 2, offset);
    FAIL;
  }
  return next(fd, bytes, size, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  NEXT(writev);
  if (on_fd(want_w, want_p, "write", fd)) FAIL;
  return next(fd, parts, count);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) {
  NEXT(pwritev64);
  if (on_fd(want_w, 0, "write", fd)) FAIL;
  return next(fd, parts, count, offset);
}

ssize_t read(int fd, void *bytes, size_t size) {
  NEXT(read);
  if (on_fd(want_r, 0, "read", fd)) FAIL;
  return next(fd, bytes, size);
}

ssize_t pread64(int fd, void *bytes, size_t size, off64_t offset) {
  NEXT(pread64);
  if (on_fd(want_r, 0, "read", fd)) FAIL;
  return next(fd, bytes, size, offset);
}

ssize_t sendfile64(int out, int in, off64_t *offset, size_t size) {
  NEXT(sendfile64);
  if (on_fd(want_w, 0, "copy", out)) FAIL;
  return next(out, in, offset, size);
}

/* libuv makes these by number. */
long syscall(long number, ...) {
  static long (*next)(long, ...);
  if (next == NULL) next = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
  va_list list;
  va_start(list, number);
  long a[6];
  for (int i = 0; i < 6; i++) a[i] = va_arg(list, long);
  va_end(list);
  if (number == SYS_copy_file_range && on_fd(want_w, 0, "copy", (int)a[2])) FAIL;
  return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

#define ON_PATH(name, parameters, arguments, path) \
  int name parameters { NEXT(name); if (on_path(want_w, #name, path)) FAIL; return next arguments; }
#define ON_FD(name, parameters, arguments, fd) \
  int name parameters { NEXT(name); if (on_fd(want_w, 0, #name, fd)) FAIL; return next arguments; }

ON_PATH(mkdir, (const char *path, mode_t mode), (path, mode), path)
ON_PATH(rmdir, (const char *path), (path), path)
ON_PATH(unlink, (const char *path), (path), path)
ON_PATH(rename, (const char *from, const char *to), (from, to), to)
ON_PATH(link, (const char *from, const char *to), (from, to), to)
ON_PATH(symlink, (const char *from, const char *to), (from, to), to)
ON_PATH(chmod, (const char *path, mode_t mode), (path, mode), path)
ON_PATH(utimensat, (int directory, const char *path, const struct timespec times[2], int flags), (directory, path, times, flags), path)
ON_FD(fchmod, (int fd, mode_t mode), (fd, mode), fd)
ON_FD(fsync, (int fd), (fd), fd)
ON_FD(fdatasync, (int fd), (fd), fd)
ON_FD(ftruncate64, (int fd, off64_t size), (fd, size), fd)
ON_FD(futimens, (int fd, const struct timespec times[2]), (fd, times), fd)

int scandir64(const char *path, struct dirent64 ***names, int (*filter)(const struct dirent64 *), int (*compare)(const struct dirent64 **, const struct dirent64 **)) {
  NEXT(scandir64);
  if (on_path(want_r, "list", path)) FAIL;
  return next(path, names, filter, compare);
}

pid_t fork(void) {
  NEXT(fork);
  if (want_p && root_length > 0 && getpid() == self && counted("fork", "")) FAIL;
  return next();
}
