/* Commands over the control socket (protocol.md), from processes of the relay's own user or root. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "relay.h"

#define REQUEST_HEADER_BYTES 10 /* length, version, command, request */
#define LENGTH_BYTES 4

enum command { PING = 1, OPEN = 2, CLOSE = 3, CLOSE_SPACE = 4, LIST = 5, SHUTDOWN = 6 };
enum status { DONE = 0, INVALID = 1, OTHER_VERSION = 2, FAILED = 3 };
enum endpoint_kind { GUEST = 1, HOST = 2 };

struct control {
  void *garbage;
  struct control *next;
  struct source source;
  struct buffer in, out;
  uint32_t serial;
  int unanswered;
  int64_t deadline;
};

static struct source listening = {.fd = -1};
static struct control *controls;
static int controls_total;
static uint32_t last_serial;
static int64_t accept_again;
static bool leaving;

int control_count(void) { return controls_total; }

static void control_close(struct control *c) {
  if (c->source.fd < 0) return;
  source_close(&c->source);
  if (c->in.data != NULL) explicit_bzero(c->in.data, c->in.capacity); /* tokens */
  buffer_free(&c->in);
  buffer_free(&c->out);
  for (struct control **link = &controls; *link != NULL; link = &(*link)->next) {
    if (*link != c) continue;
    *link = c->next;
    break;
  }
  controls_total--;
  free_later(c);
}

/* ---- answering ---- */

static void flush(struct control *c) {
  while (c->source.fd >= 0 && buffer_used(&c->out) > 0) {
    ssize_t count = send(c->source.fd, c->out.data + c->out.start, buffer_used(&c->out), MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) break;
    if (count < 0) {
      control_close(c);
      return;
    }
    buffer_take(&c->out, (size_t)count);
  }
  if (c->source.fd < 0) return;
  bool reads = buffer_used(&c->out) < MAX_REPLY_BYTES;
  bool writes = buffer_used(&c->out) > 0;
  if (!source_watch(&c->source, (reads ? EPOLLIN : 0) | (writes ? EPOLLOUT : 0))) control_close(c);
}

static size_t reply_begin(struct control *c, uint8_t status, uint32_t request) {
  size_t at = buffer_used(&c->out);
  add_u32(&c->out, 0);
  add_u8(&c->out, status);
  add_u32(&c->out, request);
  return at;
}

static void reply_end(struct control *c, size_t at) {
  uint32_t length = (uint32_t)(buffer_used(&c->out) - at - LENGTH_BYTES);
  put_u32(c->out.data + c->out.start + at, length);
}

static void reply_number(struct control *c, uint32_t request, uint32_t number) {
  size_t at = reply_begin(c, DONE, request);
  add_u32(&c->out, number);
  reply_end(c, at);
}

static void reply_error(struct control *c, uint32_t request, uint8_t status, int error) {
  size_t at = reply_begin(c, status, request);
  add_u32(&c->out, (uint32_t)error);
  reply_end(c, at);
}

void control_opened(const struct waiter *w, uint16_t port, int error) {
  struct control *c = controls;
  while (c != NULL && c->serial != w->control) c = c->next;
  if (c == NULL) return;
  c->unanswered--;
  if (error == 0) reply_number(c, w->request, port);
  else reply_error(c, w->request, FAILED, error);
  flush(c);
}

/* ---- commands ---- */

static void add_forward(struct buffer *b, const struct forward *f) {
  add_text(b, f->id);
  add_u8(b, (uint8_t)f->state);
  add_u16(b, f->port);
  add_u32(b, f->link_count);
  add_u64(b, f->accepted);
  add_u64(b, f->failed);
  add_u64(b, f->bytes_out);
  add_u64(b, f->bytes_in);
  add_u32(b, (uint32_t)f->last_error);
}

static void list(struct control *c, uint32_t request) {
  size_t at = reply_begin(c, DONE, request);
  add_u32(&c->out, (uint32_t)forward_total);
  for (const struct forward *f = forwards; f != NULL; f = f->next) add_forward(&c->out, f);
  reply_end(c, at);
}

static void read_endpoint(struct reader *r, struct endpoint *e) {
  uint8_t kind = read_u8(r);
  *e = (struct endpoint){.guest = kind == GUEST};
  if (kind == GUEST) {
    read_text(r, e->path, sizeof e->path - 1);
    const uint8_t *token = read_bytes(r, TOKEN_BYTES);
    if (token != NULL) memcpy(e->token, token, TOKEN_BYTES);
    if (e->path[0] != '/') r->bad = true;
  } else if (kind == HOST) {
    read_text(r, e->address, ADDRESS_BYTES - 1);
  } else {
    r->bad = true;
  }
  e->port = read_u16(r);
}

static bool open_forward(struct control *c, uint32_t request, struct reader *r) {
  static struct endpoint source, remote;
  char id[MAX_ID_BYTES + 1];
  read_text(r, id, MAX_ID_BYTES);
  read_endpoint(r, &source);
  read_endpoint(r, &remote);
  if (r->bad || r->left > 0 || !remote.guest || remote.port == 0) return false;
  c->unanswered++;
  forward_open(id, &source, &remote, c->serial, request);
  explicit_bzero(&source, sizeof source);
  explicit_bzero(&remote, sizeof remote);
  return true;
}

static bool close_forward(struct control *c, uint32_t request, struct reader *r) {
  char id[MAX_ID_BYTES + 1];
  read_text(r, id, MAX_ID_BYTES);
  if (r->bad || r->left > 0) return false;
  reply_number(c, request, forward_close(id));
  return true;
}

static bool close_space(struct control *c, uint32_t request, struct reader *r) {
  static char path[4096];
  read_text(r, path, sizeof path - 1);
  if (r->bad || r->left > 0) return false;
  reply_number(c, request, (uint32_t)forwards_close_space(path));
  return true;
}

/* The commands that take nothing. */
static bool handle_simple(struct control *c, uint8_t command, uint32_t request) {
  switch (command) {
    case LIST: list(c, request); return true;
    case SHUTDOWN: leaving = true; /* fall through */
    case PING: reply_number(c, request, (uint32_t)getpid()); return true;
    default: return false;
  }
}

/* False when the request is not a good one. */
static bool handle(struct control *c, uint8_t command, uint32_t request, struct reader *r) {
  switch (command) {
    case OPEN: return open_forward(c, request, r);
    case CLOSE: return close_forward(c, request, r);
    case CLOSE_SPACE: return close_space(c, request, r);
    default: return r->left == 0 && handle_simple(c, command, request);
  }
}

/* Handles one request if there is a whole one. */
static bool handle_next(struct control *c) {
  size_t used = buffer_used(&c->in);
  if (used < LENGTH_BYTES || buffer_used(&c->out) >= MAX_REPLY_BYTES) return false;
  struct reader r = {.at = c->in.data + c->in.start, .left = used};
  uint32_t length = read_u32(&r);
  if (length > MAX_REQUEST_BYTES || length < REQUEST_HEADER_BYTES - LENGTH_BYTES) {
    control_close(c);
    return false;
  }
  if (r.left < length) return false;
  r.left = length;
  uint8_t version = read_u8(&r), command = read_u8(&r);
  uint32_t request = read_u32(&r);
  if (version != RELAY_VERSION) reply_error(c, request, OTHER_VERSION, RELAY_VERSION);
  else if (!handle(c, command, request, &r)) reply_error(c, request, INVALID, EINVAL);
  if (c->source.fd < 0) return false;
  explicit_bzero(c->in.data + c->in.start, LENGTH_BYTES + length);
  buffer_take(&c->in, LENGTH_BYTES + length);
  c->deadline = now_ms() + CONTROL_IDLE_MS;
  loop_wake_at(c->deadline);
  return true;
}

static void control_ready(struct source *source, uint32_t events) {
  struct control *c = source->owner;
  if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && source->interest & EPOLLIN) {
    ssize_t count = recv(source->fd, buffer_room(&c->in, 4096), 4096, MSG_DONTWAIT);
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) {
      control_close(c);
      return;
    }
    if (count > 0) c->in.end += (size_t)count;
  }
  do {
    while (handle_next(c)) continue;
    flush(c);
    /* What was held back until answers are written may go on now. */
  } while (c->source.fd >= 0 && buffer_used(&c->out) == 0 && handle_next(c));
  if (c->source.fd >= 0) flush(c);
  if (leaving) leave();
}

/* ---- accepting ---- */

static bool is_ours(int fd) {
  struct ucred peer;
  socklen_t bytes = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) < 0) return false;
  return peer.uid == geteuid() || peer.uid == 0;
}

static bool accept_one(void) {
  int fd = accept4(listening.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) {
    if (errno != EMFILE && errno != ENFILE && errno != ENOMEM && errno != ENOBUFS) return false;
    source_watch(&listening, 0);
    accept_again = now_ms() + ACCEPT_PAUSE_MS;
    loop_wake_at(accept_again);
    return false;
  }
  if (!is_ours(fd) || controls_total >= MAX_CONTROLS) {
    close(fd);
    return true;
  }
  struct control *c = allocate(sizeof *c);
  c->source = (struct source){.fd = fd, .ready = control_ready, .owner = c};
  if (++last_serial == 0) last_serial = 1;
  c->serial = last_serial;
  c->next = controls;
  controls = c;
  controls_total++;
  c->deadline = now_ms() + CONTROL_IDLE_MS;
  loop_wake_at(c->deadline);
  if (!source_watch(&c->source, EPOLLIN)) control_close(c);
  return true;
}

static void listening_ready(struct source *source, uint32_t events) {
  (void)source;
  (void)events;
  for (int i = 0; i < 16 && accept_one(); i++) continue;
}

void control_init(int fd) {
  listening = (struct source){.fd = fd, .ready = listening_ready};
  if (!source_watch(&listening, EPOLLIN)) die("epoll_ctl");
}

void control_due(int64_t now) {
  if (accept_again != 0 && now >= accept_again) {
    accept_again = 0;
    source_watch(&listening, EPOLLIN);
  }
  loop_wake_at(accept_again);
  for (struct control *c = controls, *next; c != NULL; c = next) {
    next = c->next;
    if (c->unanswered > 0 && now >= c->deadline) c->deadline = now + CONTROL_IDLE_MS;
    if (now >= c->deadline) control_close(c);
    else loop_wake_at(c->deadline);
  }
}

void control_leave(void) {
  int fd;
  while ((fd = accept4(listening.fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) close(fd);
}
