/*
 * One accepted connection and its counterpart in the other space. Bytes are copied, not spliced:
 * MSG_DONTWAIT holds for the single call, whatever a space does to the socket that it shares with us.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "relay.h"

#define SCRATCH_BYTES (256 * 1024)
#define BYTES_A_TURN (1024 * 1024)

struct end {
  struct source source;
  struct buffer unsent; /* what this end has to take; while there is any, the other is not read */
  bool ended;           /* nothing more comes from here */
  bool reset;           /* and it did not end well */
  bool shut;            /* nothing more goes to here */
};

struct link {
  void *garbage;
  struct link *next, **back;
  struct forward *forward;
  struct request *request;
  struct end ends[2]; /* the accepted one, and the one that was connected for it */
  int64_t deadline;
};

int link_total;
static uint8_t scratch[SCRATCH_BYTES];

static void link_remove(struct link *l) {
  if (l->request != NULL) request_abandon(l->request);
  for (int i = 0; i < 2; i++) {
    source_close(&l->ends[i].source);
    buffer_free(&l->ends[i].unsent);
  }
  *l->back = l->next;
  if (l->next != NULL) l->next->back = l->back;
  l->forward->link_count--;
  link_total--;
  free_later(l);
}

/* `hard` makes the other sides see a reset. Without it nothing may linger: a space could have asked
 * for a closing that takes minutes. */
static void link_close(struct link *l, bool hard) {
  struct linger linger = {.l_onoff = hard};
  for (int i = 0; i < 2; i++) {
    int fd = l->ends[i].source.fd;
    if (fd >= 0) setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
  }
  link_remove(l);
}

/* What waits for slow readers is memory: the more connections, the less each may take at once. */
static size_t chunk_bytes(void) {
  return link_total <= 64 ? SCRATCH_BYTES : link_total <= 512 ? 64 * 1024 : 16 * 1024;
}

enum outcome { GOES_ON, WAITS, FAILED };

static enum outcome send_bytes(struct end *to, const uint8_t *bytes, size_t count, size_t *sent) {
  *sent = 0;
  while (*sent < count) {
    ssize_t now = send(to->source.fd, bytes + *sent, count - *sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (now < 0 && errno == EINTR) continue;
    if (now < 0) return errno == EAGAIN ? WAITS : FAILED;
    *sent += (size_t)now;
  }
  return GOES_ON;
}

static enum outcome send_unsent(struct end *to) {
  struct buffer *b = &to->unsent;
  if (buffer_used(b) == 0) return GOES_ON;
  size_t sent;
  enum outcome outcome = send_bytes(to, b->data + b->start, buffer_used(b), &sent);
  buffer_take(b, sent);
  return outcome;
}

/* Everything that came from `from` was sent on: so is its end. */
static enum outcome pass_end(struct end *from, struct end *to) {
  if (from->reset) return FAILED;
  if (!to->shut) shutdown(to->source.fd, SHUT_WR);
  to->shut = true;
  return WAITS;
}

/* Reads once and sends it on. */
static enum outcome carry_once(struct end *from, struct end *to, uint64_t *bytes) {
  size_t most = chunk_bytes(), sent;
  ssize_t count = recv(from->source.fd, scratch, most, MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return WAITS;
  if (count <= 0) {
    from->ended = true;
    from->reset = count < 0;
    return GOES_ON;
  }
  enum outcome outcome = send_bytes(to, scratch, (size_t)count, &sent);
  if (outcome == FAILED) return FAILED;
  buffer_add(&to->unsent, scratch + sent, (size_t)count - sent);
  *bytes += (uint64_t)count;
  /* A short read was probably the last: asking the kernel once more is dearer than being woken. */
  return outcome == GOES_ON && (size_t)count < most ? WAITS : outcome;
}

static enum outcome carry(struct end *from, struct end *to, uint64_t *bytes) {
  enum outcome outcome = send_unsent(to);
  uint64_t stop = *bytes + BYTES_A_TURN;
  while (outcome == GOES_ON && *bytes < stop) {
    if (from->ended) return pass_end(from, to);
    outcome = carry_once(from, to, bytes);
  }
  return outcome;
}

static bool link_watch(struct link *l) {
  for (int i = 0; i < 2; i++) {
    struct end *end = &l->ends[i], *other = &l->ends[1 - i];
    bool reads = !end->ended && buffer_used(&other->unsent) == 0;
    bool writes = buffer_used(&end->unsent) > 0;
    uint32_t interest = (reads ? EPOLLIN : 0) | (writes ? EPOLLOUT : 0);
    /* What has said all and waits for an answer may still go away, which the other side must see. */
    if (end->ended && other->shut && !end->shut) interest |= EPOLLERR;
    if (!source_watch(&end->source, interest)) return false;
  }
  return true;
}

static void end_ready(struct source *source, uint32_t events) {
  struct link *l = source->owner;
  struct end *end = &l->ends[source->which], *other = &l->ends[1 - source->which];
  uint64_t *from_end = source->which == 0 ? &l->forward->bytes_out : &l->forward->bytes_in;
  uint64_t *to_end = source->which == 0 ? &l->forward->bytes_in : &l->forward->bytes_out;
  bool failed = false;
  if (source->interest & EPOLLOUT && events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) {
    failed = carry(other, end, to_end) == FAILED;
  }
  if (!failed && source->interest & EPOLLIN && events & (EPOLLIN | EPOLLERR | EPOLLHUP)) {
    failed = carry(end, other, from_end) == FAILED;
  }
  if (end->ended && other->shut && !end->shut && events & (EPOLLERR | EPOLLHUP)) failed = true;
  if (failed || !link_watch(l)) {
    link_close(l, true);
  } else if (end->shut && other->shut) {
    link_close(l, false);
  }
}

static void no_delay(int fd) {
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void link_start(struct forward *f, int accepted) {
  struct link *l = allocate(sizeof *l);
  no_delay(accepted);
  for (int i = 0; i < 2; i++) {
    l->ends[i].source = (struct source){.fd = -1, .ready = end_ready, .owner = l, .which = i};
  }
  l->ends[0].source.fd = accepted;
  l->forward = f;
  l->next = f->links;
  l->back = &f->links;
  if (f->links != NULL) f->links->back = &l->next;
  f->links = l;
  f->link_count++;
  f->accepted++;
  link_total++;
  l->deadline = now_ms() + LINK_CONNECT_MS;
  loop_wake_at(l->deadline);
  l->request = agent_connect(f->remote, l, f->remote_port);
}

static void link_failed(struct link *l, int error) {
  l->forward->failed++;
  l->forward->last_error = error;
  link_close(l, true);
}

void link_connected(struct link *l, int fd, int error) {
  l->request = NULL;
  l->deadline = 0;
  if (error != 0) {
    link_failed(l, error);
    return;
  }
  no_delay(fd);
  l->ends[1].source.fd = fd;
  /* What came meanwhile need not wait for another turn. */
  if (carry(&l->ends[0], &l->ends[1], &l->forward->bytes_out) == FAILED) link_close(l, true);
  else if (!link_watch(l)) link_failed(l, ENOMEM);
}

void links_abort(struct forward *f) {
  while (f->links != NULL) link_close(f->links, true);
}

void links_due(struct forward *f, int64_t now) {
  for (struct link *l = f->links, *next; l != NULL; l = next) {
    next = l->next;
    if (l->deadline != 0 && now >= l->deadline) link_failed(l, ETIMEDOUT);
    else loop_wake_at(l->deadline);
  }
}
