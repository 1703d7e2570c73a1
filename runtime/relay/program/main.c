/*
 * The relay: carries the port forwards of one installation between the loopbacks of its spaces, so
 * that they outlive the process that made them. Started by runtime/relay/relay-launch.ts.
 *
 *   relay <control socket> [idle milliseconds]
 *
 * Goes to the background once it listens; ends by itself when it has had no forwards for a while.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "relay.h"

#define MOST_FILES 65536
#define OTHER_FILES 32
#define LOCK_SUFFIX ".lock"

static int report = 2; /* where to say what went wrong; -1 once in the background */
static int directory = -1;
static char name[NAME_MAX + 1];
static ino_t socket_inode;
static long file_limit = 1024;
static int idle_ms = IDLE_MS;
static int64_t idle_at, check_at;
static struct source signals = {.fd = -1};

static void say(const char *text) {
  ssize_t count = report >= 0 ? write(report, text, strlen(text)) : 0;
  (void)count;
}

_Noreturn void die(const char *text) {
  const char *reason = strerror(errno);
  say(text);
  say(": ");
  say(reason);
  say("\n");
  _exit(1);
}

static _Noreturn void refuse(const char *text) {
  say(text);
  say("\n");
  _exit(1);
}

/* ---- leaving ---- */

static bool socket_is_ours(void) {
  struct stat found;
  return fstatat(directory, name, &found, AT_SYMLINK_NOFOLLOW) == 0 && found.st_ino == socket_inode;
}

void leave(void) {
  if (socket_is_ours()) unlinkat(directory, name, 0);
  control_leave();
  _exit(0);
}

void idle_check(void) {
  if (forwards_active > 0 || link_total > 0) {
    idle_at = 0;
    return;
  }
  int64_t now = now_ms();
  if (idle_at == 0) idle_at = now + idle_ms;
  if (now >= idle_at) leave();
  loop_wake_at(idle_at);
}

/* A relay that nobody can reach any more must not go on holding ports. */
void main_due(int64_t now) {
  if (now >= check_at) {
    if (!socket_is_ours()) leave();
    check_at = now + SOCKET_CHECK_MS;
  }
  loop_wake_at(check_at);
}

bool descriptors_left(int count) {
  long used = OTHER_FILES + 2L * link_total + 2L * forward_total + agent_count() + control_count();
  return used + count <= file_limit;
}

/* ---- signals ---- */

static void signals_ready(struct source *source, uint32_t events) {
  struct signalfd_siginfo info;
  (void)events;
  if (read(source->fd, &info, sizeof info) == sizeof info) leave();
}

/* Its coming is enough: it ends a call that blocks. */
static void alarm_came(int signal_number) { (void)signal_number; }

static void watch_signals(void) {
  sigset_t set;
  struct sigaction action = {.sa_handler = alarm_came};
  sigaction(SIGALRM, &action, NULL);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigprocmask(SIG_SETMASK, &set, NULL);
  signals = (struct source){.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), .ready = signals_ready};
  if (signals.fd < 0 || !source_watch(&signals, EPOLLIN)) die("signalfd");
}

/* ---- the control socket ---- */

/* Whoever can write there could put a socket of their own in the place of ours, and get tokens. */
static void open_directory(const char *path) {
  char parent[4096];
  struct stat found;
  const char *slash = strrchr(path, '/');
  if (path[0] != '/' || strlen(path) >= sizeof parent || strlen(slash + 1) > NAME_MAX - 8 ||
      slash[1] == '\0') {
    refuse("the path of the control socket must be absolute, and not too long");
  }
  memcpy(parent, path, (size_t)(slash - path) + 1);
  parent[slash - path + 1] = '\0';
  strcpy(name, slash + 1);
  directory = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0 || fstat(directory, &found) < 0) die(parent);
  if ((found.st_uid != geteuid() && found.st_uid != 0) || (found.st_mode & 022) != 0) {
    refuse("the directory of the control socket must belong to this user, and to nobody else");
  }
}

/* False when another relay has the socket. The lock ends with the process that has it. */
static bool lock(void) {
  char lock_name[NAME_MAX + 8];
  snprintf(lock_name, sizeof lock_name, "%s" LOCK_SUFFIX, name);
  int fd = openat(directory, lock_name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) die(lock_name);
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return true;
  if (errno != EWOULDBLOCK) die(lock_name);
  return false;
}

static int listen_at(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  struct stat found;
  if (strlen(path) < sizeof address.sun_path) {
    strcpy(address.sun_path, path);
  } else if ((size_t)snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", directory,
                              name) >= sizeof address.sun_path) {
    refuse("the name of the control socket is too long");
  }
  /* Left behind by a relay that was killed: the lock says that nobody listens there. */
  if (fstatat(directory, name, &found, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(found.st_mode)) {
    unlinkat(directory, name, 0);
  }
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  umask(0177);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0) die(path);
  umask(077);
  if (listen(fd, BACKLOG) < 0 || fstatat(directory, name, &found, AT_SYMLINK_NOFOLLOW) < 0) die(path);
  socket_inode = found.st_ino;
  return fd;
}

/* ---- going to the background ---- */

static void close_inherited(void) {
  if (syscall(SYS_close_range, 3u, ~0u, 0u) == 0) return;
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) < 0) die("getrlimit");
  for (rlim_t fd = 3; fd < files.rlim_cur && fd < 1024 * 1024; fd++) close((int)fd);
}

static void raise_file_limit(void) {
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) < 0) die("getrlimit");
  files.rlim_cur = files.rlim_max > MOST_FILES ? MOST_FILES : files.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &files) == 0) file_limit = (long)files.rlim_cur;
}

/* The parent waits, and passes on what the child says; nothing means that all is well. */
static void fork_child(void) {
  int ends[2];
  char text[512];
  if (pipe(ends) < 0) die("pipe");
  pid_t child = fork();
  if (child < 0) die("fork");
  if (child == 0) {
    close(ends[0]);
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    report = ends[1];
    return;
  }
  close(ends[1]);
  bool failed = false;
  ssize_t count;
  while ((count = read(ends[0], text, sizeof text)) != 0) {
    if (count < 0 && errno != EINTR) break;
    if (count > 0) failed = true;
    if (count > 0 && write(2, text, (size_t)count) < 0) break;
  }
  _exit(failed ? 1 : 0);
}

static void let_go_of_parent(void) {
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) die("/dev/null");
  for (int fd = 0; fd < 3; fd++) dup2(null, fd);
  close(null);
  close(report);
  report = -1;
}

int main(int argc, char **argv) {
  if (argc < 2 || argc > 3) refuse("usage: relay <control socket> [idle milliseconds]");
  if (argc == 3) idle_ms = atoi(argv[2]);
  if (idle_ms <= 0) refuse("the idle time must be a positive number of milliseconds");
  close_inherited();
  fork_child();
  setsid();
  /* Nobody else of this user may look into the memory in which the tokens are. */
  prctl(PR_SET_DUMPABLE, 0);
  if (chdir("/") < 0) die("/");
  umask(077);
  open_directory(argv[1]);
  if (!lock()) _exit(0);
  raise_file_limit();
  loop_init();
  watch_signals();
  control_init(listen_at(argv[1]));
  let_go_of_parent();
  check_at = now_ms() + SOCKET_CHECK_MS;
  loop_wake_at(check_at);
  idle_check();
  for (;;) loop_turn();
}
