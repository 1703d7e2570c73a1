/*
 * The supervisor: a small forked process above each spawned one. As a subreaper it inherits every
 * descendant that loses its parent, whatever session, group or environment that has, so a whole tree
 * can be found and killed. It says over a socket pair what happens; the agent starts it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"

/* One supervisor has one process. */
static int control_fd, signal_fd, report_fd;
static pid_t main_pid;
static bool main_reaped, started;

static void say(struct supervisor_message message) {
  /* An agent that is gone needs no answer. */
  while (send(control_fd, &message, sizeof message, MSG_NOSIGNAL) < 0 && errno == EINTR) continue;
}

static void say_exit(int status) {
  bool killed = WIFSIGNALED(status);
  say((struct supervisor_message){.type = M_EXITED,
                                  .a = killed ? EXIT_SIGNAL : EXIT_CODE,
                                  .b = killed ? WTERMSIG(status) : WEXITSTATUS(status)});
}

/* The report pipe closes when the program starts; anything in it is the reason why it did not. */
static void read_report(void) {
  int32_t fault[2];
  ssize_t count;
  do count = read(report_fd, fault, sizeof fault);
  while (count < 0 && errno == EINTR);
  close(report_fd);
  report_fd = -1;
  started = true;
  if (count == 0) {
    say((struct supervisor_message){.type = M_STARTED, .a = main_pid});
    return;
  }
  if (count != sizeof fault) {
    fault[0] = FAULT_AGENT;
    fault[1] = EIO;
  }
  waitpid(main_pid, NULL, 0);
  say((struct supervisor_message){.type = M_FAILED, .a = fault[0], .b = fault[1]});
  _exit(0);
}

/* Takes all that has ended; true when no descendant is left: each has a living chain up to us. */
static bool reap(void) {
  for (;;) {
    int status;
    pid_t pid = waitpid(-1, &status, WNOHANG);
    if (pid == 0) return false;
    if (pid < 0 && errno == EINTR) continue;
    if (pid < 0) return true;
    if (pid != main_pid || main_reaped) continue;
    if (!started) read_report();
    main_reaped = true;
    say_exit(status);
  }
}

static void drain_signals(void) {
  struct signalfd_siginfo info;
  while (read(signal_fd, &info, sizeof info) > 0) continue;
}

/* Waits until a child has ended, but not for long. */
static void await_child(int ms) {
  struct pollfd end = {.fd = signal_fd, .events = POLLIN};
  poll(&end, 1, ms);
  drain_signals();
}

/* Stops everything, so that little can fork past the killing, which would find it all the same. */
static void freeze_tree(int64_t deadline) {
  while (tree_signal(SIGSTOP, NULL, 0) > 0 && now_ms() < deadline) continue;
}

static int kill_tree(int budget_ms) {
  int64_t start = now_ms(), deadline = start + budget_ms;
  freeze_tree(start + budget_ms / 2);
  for (;;) {
    if (tree_signal(SIGKILL, NULL, 0) < 0 && !main_reaped) {
      kill(-main_pid, SIGKILL);
      kill(main_pid, SIGKILL);
    }
    /* The dead need a moment to become reapable; orphans come to us one generation after the other. */
    for (int i = 0; i < 20; i++) {
      if (reap()) return 0;
      await_child(2);
    }
    if (now_ms() >= deadline) return 1;
  }
}

_Noreturn static void leave(void) {
  say((struct supervisor_message){.type = M_GONE});
  _exit(0);
}

static void kill_and_answer(const struct supervisor_message *message) {
  int left = kill_tree(message->a);
  say((struct supervisor_message){
      .type = M_KILLED, .a = left, .serial = message->serial, .request = message->request});
  if (left == 0) leave();
}

static void signal_group(const struct supervisor_message *message) {
  int error = 0;
  /* Once the main process is reaped, its number may soon be another's. */
  if (main_reaped) {
    error = ESRCH;
  } else if (kill(message->b > 0 ? -message->b : -main_pid, message->a) < 0) {
    error = errno;
  }
  say((struct supervisor_message){
      .type = M_SIGNALLED, .a = error, .serial = message->serial, .request = message->request});
}

static void read_control(void) {
  struct supervisor_message message;
  ssize_t count = recv(control_fd, &message, sizeof message, MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count != sizeof message) {
    /* The agent has gone: without it nobody could ever end this tree. */
    kill_tree(KILL_MS);
    _exit(0);
  }
  if (!started) read_report();
  if (message.type == M_SIGNAL) signal_group(&message);
  if (message.type == M_KILL) kill_and_answer(&message);
  if (message.type == M_TERMINATE && tree_signal(SIGTERM, NULL, 0) >= 0) tree_signal(SIGCONT, NULL, 0);
}

_Noreturn static void supervise(void) {
  for (;;) {
    struct pollfd ends[] = {{.fd = report_fd, .events = POLLIN},
                            {.fd = signal_fd, .events = POLLIN},
                            {.fd = control_fd, .events = POLLIN}};
    if (poll(ends, 3, -1) < 0 && errno != EINTR) _exit(1);
    if (ends[0].revents != 0) read_report();
    if (ends[1].revents != 0) {
      drain_signals();
      if (reap()) leave();
    }
    if (ends[2].revents != 0) read_control();
  }
}

_Noreturn static void give_up(int error) {
  say((struct supervisor_message){.type = M_FAILED, .a = FAULT_AGENT, .b = error});
  _exit(0);
}

pid_t supervisor_start(struct spawn_plan *plan, int control) {
  /* The signals must be blocked before the fork: none may be lost, and none may kill us. */
  sigset_t all, before;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  pid_t pid = fork();
  if (pid != 0) {
    int error = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return pid;
  }
  control_fd = control;
  int keep[] = {control, plan->stdio[0], plan->stdio[1], plan->stdio[2]};
  close_all_except(keep, 4);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  setsid();
  int report[2];
  if (pipe2(report, O_CLOEXEC) < 0) give_up(errno);
  main_pid = fork();
  if (main_pid < 0) give_up(errno);
  if (main_pid == 0) exec_program(plan, report[1]);
  free(plan->block);
  report_fd = report[0];
  int only[] = {control, report_fd};
  close_all_except(only, 2);
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  signal_fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signal_fd < 0) {
    kill(main_pid, SIGKILL);
    give_up(errno);
  }
  supervise();
}
