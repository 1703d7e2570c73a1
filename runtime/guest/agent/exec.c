/* The last steps of a new process, between its fork and its program. Called by the supervisor. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

uint64_t original_nofile[2];

static void close_range_or_each(unsigned first, unsigned last) {
  if (first > last || syscall(SYS_close_range, first, last, 0) == 0) return;
  /* Kernels before 5.9. The agent's own descriptors are all below its limit. */
  struct rlimit limit = {0};
  getrlimit(RLIMIT_NOFILE, &limit);
  unsigned most = limit.rlim_cur > 65536 ? 65536 : (unsigned)limit.rlim_cur;
  for (unsigned fd = first; fd <= last && fd < most; fd++) close((int)fd);
}

static int compare_ints(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

void close_all_except(int *keep, int count) {
  unsigned first = 0;
  qsort(keep, (size_t)count, sizeof *keep, compare_ints);
  for (int i = 0; i < count; i++) {
    if (keep[i] < 0) continue;
    if ((unsigned)keep[i] > first) close_range_or_each(first, (unsigned)keep[i] - 1);
    first = (unsigned)keep[i] + 1;
  }
  close_range_or_each(first, UINT_MAX);
}

_Noreturn static void fail(int report, enum fault fault, int error) {
  int32_t message[2] = {(int32_t)fault, error};
  ssize_t count = write(report, message, sizeof message);
  _exit(count == sizeof message ? 127 : 126);
}

static void reset_signals(void) {
  struct sigaction standard = {.sa_handler = SIG_DFL};
  for (int signal_number = 1; signal_number < NSIG; signal_number++) {
    sigaction(signal_number, &standard, NULL);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Standard descriptors may stand in each other's place: all go out of the way first. */
static int place_stdio(const struct spawn_plan *plan, int report) {
  int moved[3], kept = fcntl(report, F_DUPFD_CLOEXEC, 10);
  if (kept < 0) return -1;
  for (int i = 0; i < 3; i++) {
    moved[i] = fcntl(plan->stdio[i], F_DUPFD_CLOEXEC, 10);
    if (moved[i] < 0) return -1;
  }
  for (int i = 0; i < 3; i++) {
    if (dup2(moved[i], i) < 0) return -1;
  }
  int keep[] = {0, 1, 2, kept};
  close_all_except(keep, 4);
  return kept;
}

static void become_user(const struct spawn_plan *plan, int report) {
  if (!plan->set_user || (geteuid() == plan->uid && getegid() == plan->gid)) return;
  if (setgroups(1, &plan->gid) < 0 || setresgid(plan->gid, plan->gid, plan->gid) < 0 ||
      setresuid(plan->uid, plan->uid, plan->uid) < 0) {
    fail(report, FAULT_USER, errno);
  }
}

static const char *search_path(char *const *envp) {
  for (; *envp != NULL; envp++) {
    if (strncmp(*envp, "PATH=", 5) == 0) return *envp + 5;
  }
  return DEFAULT_PATH;
}

/* Runs the program if it is this file. A file that is there but "not found" lacks its interpreter. */
static enum fault try_file(const char *file, const struct spawn_plan *plan, int *error) {
  execve(file, plan->argv, plan->envp);
  *error = errno;
  struct stat found;
  bool there = stat(file, &found) == 0;
  if (*error == EACCES && there && S_ISDIR(found.st_mode)) *error = EISDIR;
  return (*error == ENOENT || *error == ELIBBAD) && there ? FAULT_INTERPRETER : FAULT_PROGRAM;
}

_Noreturn static void search_program(const struct spawn_plan *plan, int report) {
  const char *name = plan->argv[0], *at = search_path(plan->envp);
  size_t name_bytes = strlen(name);
  enum fault fault = FAULT_PROGRAM;
  int error = ENOENT;
  char file[PATH_MAX];
  if (name_bytes == 0) fail(report, FAULT_PROGRAM, ENOENT);
  for (;;) {
    const char *end = strchrnul(at, ':');
    size_t bytes = (size_t)(end - at);
    if (bytes + name_bytes + 2 <= sizeof file) {
      memcpy(file, at, bytes);
      /* An empty piece of PATH means the current directory. */
      if (bytes == 0) file[bytes++] = '.';
      file[bytes++] = '/';
      memcpy(file + bytes, name, name_bytes + 1);
      int this_error;
      enum fault this_fault = try_file(file, plan, &this_error);
      /* A find that cannot be run says more than a later place without one. */
      bool missing = this_fault == FAULT_PROGRAM && (this_error == ENOENT || this_error == ENOTDIR);
      if (!missing && this_error != EACCES && this_error != EISDIR) {
        fail(report, this_fault, this_error);
      }
      if (!missing && error == ENOENT) error = this_error;
    }
    if (*end == '\0') fail(report, fault, error);
    at = end + 1;
  }
}

_Noreturn void exec_program(const struct spawn_plan *plan, int report) {
  if (setsid() < 0) fail(report, FAULT_AGENT, errno);
  if (plan->pty && ioctl(plan->stdio[0], TIOCSCTTY, 0) < 0) fail(report, FAULT_AGENT, errno);
  int moved = place_stdio(plan, report);
  if (moved < 0) fail(report, FAULT_AGENT, errno);
  report = moved;
  umask(022);
  struct rlimit files = {.rlim_cur = original_nofile[0], .rlim_max = original_nofile[1]};
  setrlimit(RLIMIT_NOFILE, &files);
  become_user(plan, report);
  if (chdir(plan->cwd) < 0) fail(report, FAULT_CWD, errno);
  reset_signals();
  if (strchr(plan->argv[0], '/') == NULL) search_program(plan, report);
  int error;
  enum fault fault = try_file(plan->argv[0], plan, &error);
  fail(report, fault, error);
}
