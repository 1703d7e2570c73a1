/*
 * The guest agent: runs in a space, as its main process or below an init, and does there what the
 * host asks over a framed protocol (protocol.md).
 *
 *   guest serve <socket path>   any number of hosts over a unix socket
 *   guest stdio                 one host over standard input and output
 *   guest empty <directory>     removes everything in a directory, and ends
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest.h"

#define TOKEN_NAME "SPACES_GUEST_TOKEN"
#define MOST_FILES 65536
/* `docker stop` gives ten seconds; this leaves time for the killing. */
#define SIGTERM_GRACE_MS 3000

extern char **environ;

static struct source signals = {.fd = -1};
static bool shutting_down, killing;
static int64_t kill_at, leave_at;

/* No printf: it would make up a third of the program. */
static void say(const char *text) {
  ssize_t count = write(2, text, strlen(text));
  (void)count;
}

_Noreturn void die(const char *text) {
  const char *reason = strerror(errno);
  say("guest: ");
  say(text);
  say(": ");
  say(reason);
  say("\n");
  _exit(1);
}

/* ---- the token ---- */

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

static bool parse_token(const char *text, uint8_t token[TOKEN_BYTES]) {
  if (strlen(text) != 2 * TOKEN_BYTES) return false;
  for (int i = 0; i < TOKEN_BYTES; i++) {
    int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    token[i] = (uint8_t)(high << 4 | low);
  }
  return true;
}

/* Overwrites the variable where it lies: /proc/<pid>/environ shows that memory. */
static void take_token(void) {
  static uint8_t token[TOKEN_BYTES];
  char *text = getenv(TOKEN_NAME);
  if (text == NULL) {
    say("guest: " TOKEN_NAME " is missing: 64 hexadecimal digits that the host knows too\n");
    _exit(64);
  }
  bool good = parse_token(text, token);
  char *variable = text - strlen(TOKEN_NAME "=");
  explicit_bzero(variable, strlen(variable));
  if (!good) {
    say("guest: " TOKEN_NAME " is not 64 hexadecimal digits\n");
    _exit(64);
  }
  connections_set_token(token);
  explicit_bzero(token, sizeof token);
}

/* ---- shutting down ---- */

void shutdown_begin(int grace_ms) {
  int64_t at = now_ms() + grace_ms;
  if (shutting_down && at >= kill_at) return;
  if (!shutting_down && grace_ms > 0) processes_terminate();
  shutting_down = true;
  kill_at = at;
}

/* Gives when to look again; leaves once everything is gone. */
static int64_t shutdown_deadline(int64_t now) {
  if (!shutting_down) return INT64_MAX;
  if (processes_all_gone() || (killing && now >= leave_at)) {
    connections_flush();
    exit(0);
  }
  if (killing) return leave_at;
  if (now < kill_at) return kill_at;
  processes_kill();
  killing = true;
  leave_at = now + KILL_MS + 1000;
  return leave_at;
}

/* ---- the loop ---- */

static void signals_ready(struct source *source, uint32_t events) {
  struct signalfd_siginfo info;
  (void)events;
  while (read(source->fd, &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT) shutdown_begin(SIGTERM_GRACE_MS);
  }
  processes_reap();
}

static void watch_signals(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigprocmask(SIG_SETMASK, &set, NULL);
  signal(SIGPIPE, SIG_IGN);
  signals = (struct source){.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), .ready = signals_ready};
  if (signals.fd < 0) die("signalfd");
  source_watch(&signals, EPOLLIN);
}

static int64_t earlier(int64_t a, int64_t b) { return a < b ? a : b; }

static int next_timeout(void) {
  connections_flush();
  int64_t now = now_ms();
  int64_t soonest = earlier(connections_deadline(now), processes_deadline(now));
  soonest = earlier(soonest, network_deadline(now));
  soonest = earlier(soonest, shutdown_deadline(now));
  /* What fell due may have made something to write, and that something new to wait for. */
  if (connections_flush()) return 0;
  if (soonest == INT64_MAX) return -1;
  return soonest <= now ? 0 : (int)(soonest - now);
}

/* Descriptors that were inherited by accident must not reach the space's processes. */
static void close_inherited(void) {
  int keep[] = {0, 1, 2};
  close_all_except(keep, 3);
}

static void raise_file_limit(void) {
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) < 0) die("getrlimit");
  original_nofile[0] = files.rlim_cur;
  original_nofile[1] = files.rlim_max;
  files.rlim_cur = files.rlim_max > MOST_FILES ? MOST_FILES : files.rlim_max;
  if (files.rlim_cur > original_nofile[0]) setrlimit(RLIMIT_NOFILE, &files);
}

static int usage(void) {
  say("usage: guest serve <socket path> | guest stdio | guest empty <directory>\n");
  return 64;
}

int main(int argc, char **argv) {
  bool serve = argc == 3 && strcmp(argv[1], "serve") == 0;
  bool stdio = argc == 2 && strcmp(argv[1], "stdio") == 0;
  if (argc == 3 && strcmp(argv[1], "empty") == 0) {
    empty_directory(argv[2]);
    return 0;
  }
  if (!serve && !stdio) return usage();
  /* Before the token is read: nobody in the space may look into this memory. */
  prctl(PR_SET_DUMPABLE, 0);
  take_token();
  close_inherited();
  raise_file_limit();
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  umask(022);
  loop_init();
  watch_signals();
  network_up();
  if (serve && !connections_serve(argv[2])) die(argv[2]);
  if (stdio) connections_stdio();
  if (chdir("/") < 0) die("/");
  for (;;) loop_turn(next_timeout());
}
