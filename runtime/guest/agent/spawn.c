/* Starting a process: reading the request, its pipes or terminal, its supervisor. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "process.h"

struct spawn_request {
  uint32_t request;
  const uint8_t *id;
  uint16_t flags, columns, rows;
  uint32_t uid, gid, credit[STREAMS];
  struct spawn_plan plan;
  uint32_t argc;
};

/* Copies a list of strings behind `*text`, ending each with NUL. */
static bool copy_strings(struct reader *r, uint32_t count, char **list, char **text) {
  for (uint32_t i = 0; i < count; i++) {
    uint32_t bytes = read_u32(r);
    const uint8_t *from = read_bytes(r, bytes);
    if (r->bad || memchr(from, 0, bytes) != NULL) return false;
    memcpy(*text, from, bytes);
    (*text)[bytes] = '\0';
    list[i] = *text;
    *text += bytes + 1;
  }
  list[count] = NULL;
  return true;
}

/* One block holds the lists and all strings: each string needs one byte more, in place of its length. */
static bool read_plan(struct reader *r, struct spawn_request *s) {
  struct reader ahead = *r;
  read_bytes(&ahead, read_u32(&ahead));
  uint32_t argc = read_u32(&ahead);
  if (ahead.bad || argc == 0 || argc > MAX_ARGS) return false;
  for (uint32_t i = 0; i < argc; i++) read_bytes(&ahead, read_u32(&ahead));
  uint32_t envc = read_u32(&ahead);
  if (ahead.bad || envc > MAX_ARGS) return false;
  size_t lists = ((size_t)argc + envc + 2 + 2) * sizeof(char *);
  char *block = malloc(lists + r->left);
  if (block == NULL) return false;
  char **list = (char **)(void *)block, *text = block + lists;
  s->plan.block = block;
  s->plan.argv = list + 2;
  s->plan.envp = list + 2 + argc + 1;
  s->argc = argc;
  bool good = copy_strings(r, 1, list, &text);
  s->plan.cwd = list[0];
  good = good && read_u32(r) == argc && copy_strings(r, argc, s->plan.argv, &text);
  good = good && read_u32(r) == envc && copy_strings(r, envc, s->plan.envp, &text);
  return good && !r->bad && r->left == 0;
}

static bool read_spawn(struct reader *r, struct spawn_request *s) {
  s->request = read_u32(r);
  s->id = read_bytes(r, ID_BYTES);
  s->flags = read_u16(r);
  s->columns = read_u16(r);
  s->rows = read_u16(r);
  s->uid = read_u32(r);
  s->gid = read_u32(r);
  s->credit[0] = read_u32(r);
  s->credit[1] = read_u32(r);
  if (r->bad || s->credit[0] > MAX_CREDIT || s->credit[1] > MAX_CREDIT) return false;
  s->plan.pty = (s->flags & SPAWN_PTY) != 0;
  s->plan.set_user = (s->flags & SPAWN_USER) != 0;
  s->plan.uid = s->uid;
  s->plan.gid = s->gid;
  return read_plan(r, s);
}

static void summarise(struct process *p, const struct spawn_request *s) {
  size_t used = 0;
  for (uint32_t i = 0; i < s->argc && i < 256; i++) {
    size_t bytes = strlen(s->plan.argv[i]), room = sizeof p->summary - used;
    if (room < 3) break;
    if (bytes > room - 2) bytes = room - 2;
    put_u16(p->summary + used, (uint16_t)bytes);
    memcpy(p->summary + used + 2, s->plan.argv[i], bytes);
    used += 2 + bytes;
    p->argc++;
  }
  p->summary_bytes = (uint16_t)used;
}

/* The descriptors of a new process: the agent's ends and its own. */
struct ends {
  int input, output[STREAMS], terminal;
  int theirs[3];
};

static void close_all(const int *fds, int count) {
  for (int i = 0; i < count; i++) {
    if (fds[i] >= 0 && (i == 0 || fds[i] != fds[i - 1])) close(fds[i]);
  }
}

static void close_ours(struct ends *e) {
  int ours[] = {e->input, e->output[0], e->output[1], e->terminal};
  close_all(ours, 4);
}

/* A pipe that a process opens again by /dev/stdout must belong to it. */
static bool open_pipe(const struct spawn_request *s, int *reading, int *writing) {
  int both[2];
  if (pipe2(both, O_CLOEXEC) < 0) return false;
  *reading = both[0];
  *writing = both[1];
  if (s->plan.set_user && fchown(both[0], s->uid, s->gid) < 0 && errno != EPERM && errno != EINVAL) {
    return false;
  }
  return true;
}

static bool open_pipes(const struct spawn_request *s, struct ends *e) {
  if (s->flags & SPAWN_STDIN) {
    if (!open_pipe(s, &e->theirs[0], &e->input)) return false;
  } else {
    e->theirs[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (e->theirs[0] < 0) {
      /* An empty image: a pipe that nobody can write to ends as well. */
      int writing = -1;
      if (!open_pipe(s, &e->theirs[0], &writing)) return false;
      close(writing);
    }
  }
  return open_pipe(s, &e->output[0], &e->theirs[1]) && open_pipe(s, &e->output[1], &e->theirs[2]);
}

static bool open_terminal(const struct spawn_request *s, struct ends *e) {
  int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (master < 0) master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (master < 0) return false;
  e->terminal = master;
  int unlocked = 0;
  if (ioctl(master, TIOCSPTLCK, &unlocked) < 0) return false;
  /* By ioctl, not by path: /dev/pts may be another instance. */
  int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (slave < 0) return false;
  e->theirs[0] = e->theirs[1] = e->theirs[2] = slave;
  struct winsize size = {.ws_col = s->columns, .ws_row = s->rows};
  ioctl(master, TIOCSWINSZ, &size);
  if (s->plan.set_user && fchown(slave, s->uid, (gid_t)-1) < 0 && errno != EPERM && errno != EINVAL) {
    return false;
  }
  e->output[0] = fcntl(master, F_DUPFD_CLOEXEC, 3);
  e->input = fcntl(master, F_DUPFD_CLOEXEC, 3);
  return e->output[0] >= 0 && e->input >= 0;
}

static void process_begin(struct process *p, struct connection *c, const struct spawn_request *s,
                          const struct ends *e) {
  memcpy(p->id, s->id, ID_BYTES);
  p->detached = (s->flags & SPAWN_DETACHED) != 0;
  p->owner = p->detached ? NULL : c;
  p->started_at = wall_ms();
  p->terminal = e->terminal;
  for (int index = 0; index < STREAMS; index++) stream_init(p, index, e->output[index]);
  input_init(p, e->input);
  if (e->input >= 0) p->stdin_owner = c;
  summarise(p, s);
  if ((s->flags & SPAWN_UNATTACHED) == 0) {
    struct attachment *a = stream_attach(p, c);
    for (int index = 0; index < STREAMS; index++) a->credit[index] = s->credit[index];
  }
  process_add(p);
}

/* Gives 0, or the errno for which nothing was started. */
static int start_process(struct process *p, struct connection *c, struct spawn_request *s) {
  struct ends e = {.input = -1, .output = {-1, -1}, .terminal = -1, .theirs = {-1, -1, -1}};
  int control[2] = {-1, -1}, error = 0;
  if (!(s->plan.pty ? open_terminal(s, &e) : open_pipes(s, &e)) ||
      socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) < 0) {
    error = errno;
  }
  memcpy(s->plan.stdio, e.theirs, sizeof e.theirs);
  if (error == 0) p->supervisor = supervisor_start(&s->plan, control[1]);
  if (error == 0 && p->supervisor < 0) error = errno;
  close_all(e.theirs, 3);
  if (control[1] >= 0) close(control[1]);
  if (error != 0) {
    close_ours(&e);
    if (control[0] >= 0) close(control[0]);
    return error;
  }
  p->control = (struct source){.fd = control[0]};
  process_begin(p, c, s, &e);
  return 0;
}

void process_spawn(struct connection *c, struct reader *r) {
  struct spawn_request s = {0};
  if (!read_spawn(r, &s)) {
    free(s.plan.block);
    r->bad = true;
    return;
  }
  struct process *p = calloc(1, sizeof *p);
  int error = p == NULL ? ENOMEM : 0;
  if (error == 0 && process_find(s.id) != NULL) error = EEXIST;
  if (error == 0 && processes_full()) error = EAGAIN;
  if (error == 0) {
    p->spawn_serial = c->serial;
    p->spawn_request = s.request;
    error = start_process(p, c, &s);
  }
  free(s.plan.block);
  if (error == 0) return;
  free(p);
  struct process none = {.spawn_serial = c->serial, .spawn_request = s.request};
  answer_spawn_error(&none, FAULT_AGENT, error);
}
