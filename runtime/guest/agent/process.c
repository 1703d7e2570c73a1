/*
 * The life of the space's processes: what their supervisors say, signals, killing, lists, and how long
 * the record of one that has ended is kept. They start in spawn.c; their bytes are in stream.c.
 */
#define _GNU_SOURCE
#include "process.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static struct process *processes;
static int process_count;

struct process *process_find(const uint8_t *id) {
  for (struct process *p = processes; p != NULL; p = p->next) {
    if (memcmp(p->id, id, ID_BYTES) == 0) return p;
  }
  return NULL;
}

/* ---- answers ---- */

void answer_spawn_error(struct process *p, int fault, int error) {
  struct connection *c = connection_by_serial(p->spawn_serial);
  if (c == NULL) return;
  struct frame f = frame_begin(c, A_SPAWN_ERROR);
  frame_u32(&f, p->spawn_request);
  frame_u8(&f, (uint8_t)fault);
  frame_u32(&f, (uint32_t)error);
  frame_end(&f);
}

static void answer_spawned(struct process *p) {
  struct connection *c = connection_by_serial(p->spawn_serial);
  if (c == NULL) return;
  struct frame f = frame_begin(c, A_SPAWNED);
  frame_u32(&f, p->spawn_request);
  frame_u32(&f, (uint32_t)p->pid);
  frame_end(&f);
}

static void answer_killed(uint32_t serial, uint32_t request, uint32_t left) {
  struct connection *c = connection_by_serial(serial);
  if (c == NULL) return;
  struct frame f = frame_begin(c, A_KILLED);
  frame_u32(&f, request);
  frame_u32(&f, left);
  frame_end(&f);
}

static void answer_signal(uint32_t serial, uint32_t request, int error) {
  struct connection *c = connection_by_serial(serial);
  if (c == NULL) return;
  if (error == 0) {
    send_ok(c, request);
  } else {
    send_error(c, request, error);
  }
}

static void send_gone(struct process *p) {
  if (p->owner == NULL) return;
  struct frame f = frame_begin(p->owner, A_GONE);
  frame_bytes(&f, p->id, ID_BYTES);
  frame_end(&f);
}

/* ---- how long a record is kept ---- */

static void process_free(struct process *p) {
  for (struct process **link = &processes; *link != NULL; link = &(*link)->next) {
    if (*link != p) continue;
    *link = p->next;
    break;
  }
  process_count--;
  streams_free(p);
  source_close(&p->control);
  if (p->terminal >= 0) close(p->terminal);
  free_later(p);
}

static bool is_kept(const struct process *p) { return p->gone && p->exit_told && p->detached; }

/* Memory that was never written to is not there. */
static size_t kept_bytes(const struct process *p) {
  size_t bytes = 0;
  for (int index = 0; index < STREAMS; index++) {
    const struct ring *r = &p->streams[index].ring;
    bytes += r->head < r->capacity ? (size_t)r->head : r->capacity;
  }
  return bytes;
}

static void trim_kept(void) {
  for (;;) {
    struct process *oldest = NULL;
    size_t bytes = 0;
    int count = 0;
    for (struct process *p = processes; p != NULL; p = p->next) {
      if (!is_kept(p) || streams_attached(p)) continue;
      count++;
      bytes += kept_bytes(p);
      if (oldest == NULL || p->exited_at < oldest->exited_at) oldest = p;
    }
    if (oldest == NULL || (count <= MAX_KEPT && bytes <= KEPT_RING_BYTES)) return;
    process_free(oldest);
  }
}

void process_settle(struct process *p) {
  bool exited = p->exit_kind != EXIT_NONE;
  bool drained = p->terminal < 0 || p->streams[0].ended || now_ms() >= p->drain_until;
  if (exited && !p->exit_told && drained) {
    p->drain_until = 0;
    streams_tell_exit(p);
  }
  streams_refresh(p);
  if (!p->gone || !p->exit_told || streams_attached(p)) return;
  if (p->detached) return;
  send_gone(p);
  process_free(p);
}

/* ---- the supervisor's side ---- */

static void tell_supervisor(struct process *p, struct supervisor_message message) {
  send(p->control.fd, &message, sizeof message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static struct waiter take_waiter(struct process *p, int index) {
  struct waiter w = p->waiters[index];
  p->waiters[index] = p->waiters[--p->waiter_count];
  return w;
}

static void answer_waiter(struct process *p, const struct supervisor_message *message) {
  for (int i = 0; i < p->waiter_count; i++) {
    struct waiter *w = &p->waiters[i];
    if (w->serial != message->serial || w->request != message->request) continue;
    bool killing = take_waiter(p, i).kill;
    if (killing) {
      answer_killed(message->serial, message->request, (uint32_t)message->a);
    } else {
      answer_signal(message->serial, message->request, message->a);
    }
    return;
  }
}

static void main_exited(struct process *p, enum exit_kind kind, int value) {
  p->exit_kind = kind;
  p->exit_value = value;
  p->exited_at = wall_ms();
  streams_main_exited(p);
}

/* Orphans of a killed supervisor are the agent's children now, the only ones that are no supervisor. */
static void kill_orphans(void) {
  static pid_t supervisors[MAX_PROCESSES];
  int count = 0;
  for (struct process *p = processes; p != NULL && count < MAX_PROCESSES; p = p->next) {
    if (!p->gone) supervisors[count++] = p->supervisor;
  }
  for (int turn = 0; turn < 16 && tree_signal(SIGSTOP, supervisors, count) > 0; turn++) continue;
  tree_signal(SIGKILL, supervisors, count);
}

/* The supervisor has ended, in order or (`lost`) because something in the space killed it. */
static void tree_gone(struct process *p, bool lost) {
  source_close(&p->control);
  p->gone = true;
  if (lost) kill_orphans();
  if (!p->started) {
    answer_spawn_error(p, FAULT_AGENT, ECHILD);
    process_free(p);
    return;
  }
  if (p->exit_kind == EXIT_NONE) main_exited(p, EXIT_LOST, 0);
  streams_tree_gone(p);
  while (p->waiter_count > 0) {
    struct waiter w = take_waiter(p, 0);
    if (w.kill) {
      answer_killed(w.serial, w.request, 0);
    } else {
      answer_signal(w.serial, w.request, ESRCH);
    }
  }
  process_settle(p);
}

static void control_ready(struct source *source, uint32_t events) {
  struct process *p = container(source, struct process, control);
  struct supervisor_message message;
  (void)events;
  ssize_t count = recv(source->fd, &message, sizeof message, MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count != sizeof message) {
    tree_gone(p, true);
    return;
  }
  switch (message.type) {
    case M_STARTED:
      p->pid = message.a;
      p->started = true;
      answer_spawned(p);
      break;
    case M_FAILED:
      answer_spawn_error(p, message.a, message.b);
      process_free(p);
      break;
    case M_EXITED:
      main_exited(p, (enum exit_kind)message.a, message.b);
      process_settle(p);
      break;
    case M_SIGNALLED:
    case M_KILLED: answer_waiter(p, &message); break;
    case M_GONE: tree_gone(p, false); break;
    default: break;
  }
}

void processes_reap(void) {
  while (waitpid(-1, NULL, WNOHANG) > 0) continue;
}

void process_add(struct process *p) {
  p->control.ready = control_ready;
  source_watch(&p->control, EPOLLIN);
  p->next = processes;
  processes = p;
  process_count++;
}

bool processes_full(void) { return process_count >= MAX_PROCESSES; }

/* ---- requests about a process ---- */

static struct process *read_process(struct connection *c, struct reader *r, uint32_t *request) {
  *request = read_u32(r);
  const uint8_t *id = read_bytes(r, ID_BYTES);
  if (r->bad) return NULL;
  struct process *p = process_find(id);
  if (p == NULL || !p->started) send_error(c, *request, ESRCH);
  return p != NULL && p->started ? p : NULL;
}

static uint64_t attach_offset(const struct stream *s, uint64_t wanted) {
  if (wanted < s->ring.start) return s->ring.start;
  return wanted > s->ring.head ? s->ring.head : wanted;
}

static void send_attached(struct process *p, const struct attachment *a, uint32_t request) {
  uint32_t window = p->stdin_owner == a->c && p->input.fd >= 0
                        ? (uint32_t)(WINDOW_BYTES - buffer_used(&p->stdin_bytes))
                        : 0;
  struct frame f = frame_begin(a->c, A_ATTACHED);
  frame_u32(&f, request);
  frame_u32(&f, (uint32_t)p->pid);
  frame_u64(&f, a->offset[0]);
  frame_u64(&f, a->offset[1]);
  frame_u32(&f, window);
  frame_u8(&f, p->terminal >= 0);
  frame_end(&f);
}

void process_attach(struct connection *c, struct reader *r) {
  uint32_t request;
  struct process *p = read_process(c, r, &request);
  if (p == NULL) return;
  uint8_t flags = read_u8(r);
  uint64_t offset[STREAMS];
  uint32_t credit[STREAMS];
  for (int index = 0; index < STREAMS; index++) offset[index] = read_u64(r);
  for (int index = 0; index < STREAMS; index++) credit[index] = read_u32(r);
  if (r->bad || credit[0] > MAX_CREDIT || credit[1] > MAX_CREDIT) {
    r->bad = true;
    return;
  }
  struct attachment *a = NULL;
  for (int i = 0; i < MAX_ATTACHMENTS; i++) {
    if (p->attachments[i].c == c) {
      send_error(c, request, EBUSY);
      return;
    }
  }
  a = stream_attach(p, c);
  if (a == NULL) {
    send_error(c, request, EUSERS);
    return;
  }
  a->follow = (flags & ATTACH_FOLLOW) != 0;
  for (int index = 0; index < STREAMS; index++) {
    a->offset[index] = attach_offset(&p->streams[index], offset[index]);
    a->credit[index] = credit[index];
  }
  if (flags & ATTACH_STDIN) {
    p->stdin_owner = c;
    p->stdin_owed = 0;
  }
  send_attached(p, a, request);
  if (p->exit_told) send_exit(p, c);
  streams_pump(p);
  process_settle(p);
}

void process_detach(struct connection *c, struct reader *r) {
  uint32_t request;
  struct process *p = read_process(c, r, &request);
  if (p == NULL) return;
  uint8_t lives_on = read_u8(r);
  if (r->bad) return;
  if (lives_on) {
    p->detached = true;
    p->owner = NULL;
  }
  streams_detach(p, c);
  send_ok(c, request);
  process_settle(p);
}

static void ask_supervisor(struct connection *c, struct process *p, uint32_t request,
                           struct supervisor_message message) {
  bool killing = message.type == M_KILL;
  if (p->gone) {
    if (killing) {
      answer_killed(c->serial, request, 0);
    } else {
      send_error(c, request, ESRCH);
    }
    return;
  }
  message.serial = c->serial;
  message.request = request;
  if (p->waiter_count == MAX_WAITERS ||
      send(p->control.fd, &message, sizeof message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
    send_error(c, request, EAGAIN);
    return;
  }
  p->waiters[p->waiter_count++] =
      (struct waiter){.serial = c->serial, .request = request, .kill = killing};
}

void process_signal(struct connection *c, struct reader *r) {
  uint32_t request;
  struct process *p = read_process(c, r, &request);
  if (p == NULL) return;
  uint8_t number = read_u8(r);
  if (r->bad) return;
  if (number == 0 || number >= NSIG) {
    send_error(c, request, EINVAL);
    return;
  }
  pid_t group = 0;
  if (p->terminal >= 0 && ioctl(p->terminal, TIOCGPGRP, &group) < 0) group = 0;
  ask_supervisor(c, p, request, (struct supervisor_message){.type = M_SIGNAL, .a = number, .b = group});
}

void process_kill(struct connection *c, struct reader *r) {
  uint32_t request;
  struct process *p = read_process(c, r, &request);
  if (p == NULL) return;
  uint32_t budget = read_u32(r);
  if (r->bad) return;
  if (budget == 0) budget = KILL_MS;
  if (budget > MAX_KILL_MS) budget = MAX_KILL_MS;
  ask_supervisor(c, p, request, (struct supervisor_message){.type = M_KILL, .a = (int32_t)budget});
}

void process_resize(struct connection *c, struct reader *r) {
  uint32_t request;
  struct process *p = read_process(c, r, &request);
  if (p == NULL) return;
  uint16_t columns = read_u16(r), rows = read_u16(r);
  if (r->bad) return;
  struct winsize size = {.ws_col = columns, .ws_row = rows};
  if (p->terminal < 0) {
    send_error(c, request, ENOTTY);
  } else if (ioctl(p->terminal, TIOCSWINSZ, &size) < 0) {
    send_error(c, request, errno);
  } else {
    send_ok(c, request);
  }
}

static uint8_t list_flags(const struct process *p) {
  return (uint8_t)((p->exit_kind == EXIT_NONE) | (p->exit_kind != EXIT_NONE && !p->gone) << 1 |
                   p->detached << 2 | (p->terminal >= 0) << 3 | (p->input.fd >= 0) << 4);
}

static void send_process(struct connection *c, const struct process *p, uint32_t request) {
  struct frame f = frame_begin(c, A_PROCESS);
  frame_u32(&f, request);
  frame_bytes(&f, p->id, ID_BYTES);
  frame_u32(&f, (uint32_t)p->pid);
  frame_u8(&f, list_flags(p));
  frame_u8(&f, (uint8_t)p->exit_kind);
  frame_u32(&f, (uint32_t)p->exit_value);
  frame_u64(&f, (uint64_t)p->started_at);
  frame_u64(&f, (uint64_t)p->exited_at);
  for (int index = 0; index < STREAMS; index++) {
    frame_u64(&f, p->streams[index].ring.start);
    frame_u64(&f, p->streams[index].ring.head);
  }
  frame_u16(&f, p->argc);
  frame_bytes(&f, p->summary, p->summary_bytes);
  frame_end(&f);
}

void process_list(struct connection *c, struct reader *r) {
  uint32_t request = read_u32(r);
  if (r->bad) return;
  for (const struct process *p = processes; p != NULL; p = p->next) {
    if (p->started) send_process(c, p, request);
  }
  struct frame f = frame_begin(c, A_LIST_END);
  frame_u32(&f, request);
  frame_end(&f);
}

void process_release(struct connection *c, struct reader *r) {
  uint32_t request;
  struct process *p = read_process(c, r, &request);
  if (p == NULL) return;
  if (p->exit_kind == EXIT_NONE) {
    send_error(c, request, EBUSY);
    return;
  }
  /* Children may live on: then the record goes with the last of them. */
  p->detached = false;
  p->owner = NULL;
  streams_detach(p, c);
  send_ok(c, request);
  process_settle(p);
}

/* ---- all processes ---- */

void processes_drop_connection(struct connection *c) {
  for (struct process *p = processes, *next; p != NULL; p = next) {
    next = p->next;
    bool owned = p->owner == c;
    if (owned) p->owner = NULL;
    streams_detach(p, c);
    if (owned && !p->gone) {
      tell_supervisor(p, (struct supervisor_message){.type = M_KILL, .a = KILL_MS});
    }
    process_settle(p);
  }
}

/* Begins behind the one that took the last room, so that none starves. */
void processes_pump(struct connection *c) {
  static int first;
  struct process *p = processes;
  int skip = process_count > 0 ? first % process_count : 0;
  for (int i = 0; i < skip; i++) p = p->next;
  for (int left = process_count; left > 0 && p != NULL && connection_has_room(c); left--) {
    struct process *next = p->next != NULL ? p->next : processes;
    first++;
    streams_pump(p);
    process_settle(p);
    p = next == p ? NULL : next;
  }
}

int64_t processes_deadline(int64_t now) {
  int64_t soonest = INT64_MAX;
  for (struct process *p = processes, *next; p != NULL; p = next) {
    next = p->next;
    if (p->drain_until == 0) continue;
    if (p->drain_until <= now) {
      process_settle(p);
    } else if (p->drain_until < soonest) {
      soonest = p->drain_until;
    }
  }
  trim_kept();
  return soonest;
}

void processes_terminate(void) {
  for (struct process *p = processes; p != NULL; p = p->next) {
    if (!p->gone) tell_supervisor(p, (struct supervisor_message){.type = M_TERMINATE});
  }
}

void processes_kill(void) {
  for (struct process *p = processes; p != NULL; p = p->next) {
    if (!p->gone) tell_supervisor(p, (struct supervisor_message){.type = M_KILL, .a = KILL_MS});
  }
}

bool processes_all_gone(void) {
  for (struct process *p = processes; p != NULL; p = p->next) {
    if (!p->gone) return false;
  }
  return true;
}
