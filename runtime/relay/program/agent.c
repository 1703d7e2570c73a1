/*
 * Connections to the guest agents of spaces (runtime/guest/protocol.md), from which the relay gets
 * listening and connected sockets. Everything an agent says comes from untrusted ground: one wrong
 * word, and its connection and all forwards that touch it end.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "relay.h"
#include "socket-check.h"

#define MAGIC_BYTES 16
#define NONCE_BYTES 16
#define HELLO_BYTES (MAGIC_BYTES + TOKEN_BYTES + NONCE_BYTES + 4)
#define ANSWER_BYTES (MAGIC_BYTES + NONCE_BYTES + 16)
#define GUEST_PROTOCOL 1
#define PASSES_FDS 1
#define HEADER_BYTES 5
#define MAX_ANSWER_BYTES 4096

enum { F_LISTEN_FD = 0x17, F_CONNECT_FD = 0x18 };
enum { A_PONG = 0x81, A_ERROR = 0x8c, A_FDS = 0x98, A_PROTOCOL_ERROR = 0x9f };

#define HELLO_MS 5000
#define LISTEN_MS 5000
/* An agent holds back at most 16 descriptors for one connection and refuses more. What is not
 * answered for a second waits for the space's program, not for the agent, and counts no more. */
#define MAX_FRESH 16
#define FRESH_MS 1000
#define MAX_SENT 1024
#define MAX_TRIES 3
#define FIRST_RETRY_MS 50
#define MAX_RECEIVED 32
#define READS_A_TURN 16

static const uint8_t magic[MAGIC_BYTES + 1] = "\x9cSPACES-GUEST-H\n";
static const uint8_t answer_magic[MAGIC_BYTES + 1] = "\x9dSPACES-GUEST-A\n";

struct request {
  void *garbage;
  struct request *next;
  struct agent *agent;
  struct forward *forward; /* asks for a listening socket, or */
  struct link *link;       /* for a connected one; neither: nobody waits any more */
  bool listens, fresh;
  uint16_t port;
  int tries;
  uint32_t id;
  int64_t sent_at;
};

/* Requests in the order in which they came. */
struct queue {
  struct request *first, **end;
  int count;
};

struct received {
  int fds[2];
  int count;
};

enum agent_state { AGENT_AWAY, AGENT_GREETED, AGENT_READY };

struct agent {
  void *garbage;
  struct agent *next;
  struct agent *next_dirty;
  bool dirty, dead, blamed;
  enum agent_state state;
  char *path;
  uint8_t token[TOKEN_BYTES];
  uint8_t nonce[NONCE_BYTES];
  int users;
  struct source source;
  struct buffer in, out;
  struct received received[MAX_RECEIVED];
  int received_count;
  struct queue waiting, sent;
  int fresh;
  uint32_t last_id;
  int attempts;
  int64_t retry_at, deadline;
};

static struct agent *agents, *dirty;
static int agents_total;

int agent_count(void) { return agents_total; }
const char *agent_path(const struct agent *a) { return a->path; }

static void mark_dirty(struct agent *a) {
  if (a->dirty) return;
  a->dirty = true;
  a->next_dirty = dirty;
  dirty = a;
}

/* ---- requests ---- */

static void queue_add(struct queue *q, struct request *r) {
  if (q->first == NULL) q->end = &q->first;
  r->next = NULL;
  *q->end = r;
  q->end = &r->next;
  q->count++;
}

static void queue_remove(struct queue *q, struct request *r) {
  struct request **link = &q->first;
  while (*link != r) link = &(*link)->next;
  *link = r->next;
  if (q->end == &r->next) q->end = link;
  q->count--;
}

static void no_longer_fresh(struct request *r) {
  if (r->fresh) r->agent->fresh--;
  r->fresh = false;
}

static void close_all(const int *fds, int count) {
  for (int i = 0; i < count; i++) close(fds[i]);
}

/* Gives the answer to whoever waits for it; the request is out of its queue already. */
static void answer(struct request *r, const int *fds, int count, uint16_t port, int error) {
  struct forward *forward = r->forward;
  struct link *link = r->link;
  no_longer_fresh(r);
  free_later(r);
  if (forward != NULL) {
    forward_listens(forward, fds, count, port, error);
  } else if (link != NULL) {
    link_connected(link, error == 0 ? fds[0] : -1, error);
  } else {
    close_all(fds, count);
  }
}

static void fail_all(struct queue *q, int error) {
  while (q->first != NULL) {
    struct request *r = q->first;
    queue_remove(q, r);
    answer(r, NULL, 0, 0, error);
  }
}

static struct request *request_add(struct agent *a, uint16_t port) {
  struct request *r = allocate(sizeof *r);
  r->agent = a;
  r->port = port;
  queue_add(&a->waiting, r);
  mark_dirty(a);
  return r;
}

struct request *agent_listen(struct agent *a, struct forward *f, uint16_t port) {
  struct request *r = request_add(a, port);
  r->forward = f;
  r->listens = true;
  return r;
}

struct request *agent_connect(struct agent *a, struct link *link, uint16_t port) {
  struct request *r = request_add(a, port);
  r->link = link;
  return r;
}

void request_abandon(struct request *r) {
  r->forward = NULL;
  r->link = NULL;
  /* One that was sent is still answered, and its descriptors must be closed then. */
  if (r->id != 0) return;
  queue_remove(&r->agent->waiting, r);
  free_later(r);
}

/* ---- the connection's end ---- */

static void disconnect(struct agent *a) {
  source_close(&a->source);
  buffer_free(&a->in);
  buffer_free(&a->out);
  while (a->received_count > 0) {
    struct received *last = &a->received[--a->received_count];
    close_all(last->fds, last->count);
  }
  a->state = AGENT_AWAY;
  a->deadline = 0;
}

/* The agent went away in the middle of this; a new connection may still get the answer. */
static void ask_again(struct agent *a, struct request *r, int error) {
  queue_remove(&a->sent, r);
  no_longer_fresh(r);
  r->id = 0;
  if (r->forward == NULL && r->link == NULL) {
    free_later(r);
  } else if (++r->tries < MAX_TRIES) {
    queue_add(&a->waiting, r);
  } else {
    answer(r, NULL, 0, 0, error);
  }
}

static void agent_lost(struct agent *a, int error) {
  a->users++;
  disconnect(a);
  while (a->sent.first != NULL) ask_again(a, a->sent.first, error);
  forwards_agent_lost(a, false);
  mark_dirty(a);
  agent_release(a);
}

void agent_blame(struct agent *a) {
  a->users++;
  disconnect(a);
  a->blamed = true;
  forwards_agent_lost(a, true);
  fail_all(&a->sent, EMISBEHAVED);
  fail_all(&a->waiting, EMISBEHAVED);
  agent_release(a);
}

void agent_forgive(struct agent *a) { a->blamed = false; }

/* ---- dialling ---- */

static void dial_failed(struct agent *a, int error) {
  disconnect(a);
  if (++a->attempts < MAX_TRIES) {
    a->retry_at = now_ms() + (FIRST_RETRY_MS << 2 * (a->attempts - 1));
    loop_wake_at(a->retry_at);
    return;
  }
  a->attempts = 0;
  a->retry_at = 0;
  fail_all(&a->waiting, error);
}

/*
 * Connects to the very file that was looked at: a space may be able to write to the directory of its
 * socket, and a symbolic link there must lead nowhere. It also makes long paths possible.
 */
static int connect_to(const char *path) {
  struct stat found;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int file = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (file < 0) return -1;
  int fd = -1;
  if (fstat(file, &found) == 0 && !S_ISSOCK(found.st_mode)) {
    errno = ENOTSOCK;
  } else {
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d", file);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  }
  if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
    int error = errno;
    close(fd);
    fd = -1;
    errno = error;
  }
  int error = errno;
  close(file);
  errno = error;
  return fd;
}

static void agent_ready(struct source *source, uint32_t events);

static void dial(struct agent *a) {
  int fd = connect_to(a->path);
  if (fd < 0) {
    dial_failed(a, errno);
    return;
  }
  uint8_t hello[HELLO_BYTES] = {0};
  memcpy(hello, magic, MAGIC_BYTES);
  memcpy(hello + MAGIC_BYTES, a->token, TOKEN_BYTES);
  if (getrandom(a->nonce, NONCE_BYTES, 0) != NONCE_BYTES) die("getrandom");
  memcpy(hello + MAGIC_BYTES + TOKEN_BYTES, a->nonce, NONCE_BYTES);
  hello[HELLO_BYTES - 4] = GUEST_PROTOCOL;
  a->source = (struct source){.fd = fd, .ready = agent_ready, .owner = a};
  bool sent = send(fd, hello, sizeof hello, MSG_NOSIGNAL) == sizeof hello;
  explicit_bzero(hello, sizeof hello);
  if (!sent || !source_watch(&a->source, EPOLLIN)) {
    dial_failed(a, ECONNRESET);
    return;
  }
  a->state = AGENT_GREETED;
  a->deadline = now_ms() + HELLO_MS;
  loop_wake_at(a->deadline);
}

/* ---- asking ---- */

static void flush(struct agent *a) {
  while (buffer_used(&a->out) > 0) {
    ssize_t count = send(a->source.fd, a->out.data + a->out.start, buffer_used(&a->out), MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) break;
    /* Reading tells the reason, and reads first what the agent still had to say. */
    if (count < 0) return;
    buffer_take(&a->out, (size_t)count);
  }
  source_watch(&a->source, EPOLLIN | (buffer_used(&a->out) > 0 ? EPOLLOUT : 0));
}

static void send_waiting(struct agent *a) {
  int64_t now = now_ms();
  while (a->waiting.first != NULL && a->fresh < MAX_FRESH && a->sent.count < MAX_SENT) {
    struct request *r = a->waiting.first;
    queue_remove(&a->waiting, r);
    queue_add(&a->sent, r);
    if (++a->last_id == 0) a->last_id = 1;
    r->id = a->last_id;
    r->sent_at = now;
    r->fresh = true;
    a->fresh++;
    add_u32(&a->out, 6);
    add_u8(&a->out, r->listens ? F_LISTEN_FD : F_CONNECT_FD);
    add_u32(&a->out, r->id);
    add_u16(&a->out, r->port);
    loop_wake_at(now + FRESH_MS);
  }
  flush(a);
}

static void advance(struct agent *a) {
  if (a->dead || a->waiting.first == NULL) return;
  if (a->blamed) {
    fail_all(&a->waiting, EMISBEHAVED);
  } else if (a->state == AGENT_READY) {
    send_waiting(a);
  } else if (a->state == AGENT_AWAY && now_ms() >= a->retry_at) {
    dial(a);
  }
}

void agents_work(void) {
  while (dirty != NULL) {
    struct agent *a = dirty;
    dirty = a->next_dirty;
    a->dirty = false;
    advance(a);
  }
}

/* ---- hearing ---- */

static struct request *find_sent(struct agent *a, uint32_t id) {
  struct request *r = a->sent.first;
  while (r != NULL && r->id != id) r = r->next;
  return r;
}

static bool sockets_are_good(const struct request *r, const struct received *got, uint16_t port,
                             int *error) {
  if (r->listens) {
    if (r->port != 0 && r->port != port) return false;
    for (int i = 0; i < got->count; i++) {
      if (!is_listening_on_loopback(got->fds[i], port)) return false;
    }
    return true;
  }
  return got->count == 1 && port == r->port && is_connected_to_loopback(got->fds[0], port, error);
}

static bool handle_fds(struct agent *a, struct reader *reader) {
  uint32_t id = read_u32(reader);
  uint8_t count = read_u8(reader);
  uint16_t port = read_u16(reader);
  struct request *r = find_sent(a, id);
  if (reader->bad || reader->left > 0 || r == NULL || a->received_count == 0) return false;
  if (a->received[0].count != count) return false;
  int error = 0;
  /* On failure the descriptors stay where they are and are closed with the connection. */
  if (!sockets_are_good(r, &a->received[0], port, &error)) return false;
  struct received got = a->received[0];
  memmove(&a->received[0], &a->received[1], (size_t)--a->received_count * sizeof got);
  queue_remove(&a->sent, r);
  mark_dirty(a);
  if (error != 0) {
    close_all(got.fds, got.count);
    answer(r, NULL, 0, 0, error);
  } else {
    answer(r, got.fds, got.count, port, 0);
  }
  return true;
}

static bool handle_error(struct agent *a, struct reader *reader) {
  uint32_t id = read_u32(reader), error = read_u32(reader);
  struct request *r = find_sent(a, id);
  if (reader->bad || reader->left > 0 || r == NULL) return false;
  mark_dirty(a);
  if (error == EAGAIN) {
    ask_again(a, r, EAGAIN);
    return true;
  }
  queue_remove(&a->sent, r);
  answer(r, NULL, 0, 0, error == 0 || error >= EMISBEHAVED ? EIO : (int)error);
  return true;
}

/* False when the agent has to be blamed. */
static bool handle_frame(struct agent *a, uint8_t type, struct reader *r) {
  switch (type) {
    case A_FDS: return handle_fds(a, r);
    case A_ERROR: return handle_error(a, r);
    case A_PONG: return true;
    case A_PROTOCOL_ERROR: agent_lost(a, EPROTO); return true;
    default: return false;
  }
}

static bool handle_answer(struct agent *a) {
  struct reader r = {.at = a->in.data + a->in.start, .left = ANSWER_BYTES};
  bool good = memcmp(read_bytes(&r, MAGIC_BYTES), answer_magic, MAGIC_BYTES) == 0;
  good = memcmp(read_bytes(&r, NONCE_BYTES), a->nonce, NONCE_BYTES) == 0 && good;
  good = read_u16(&r) == GUEST_PROTOCOL && good;
  good = (read_u16(&r) & PASSES_FDS) != 0 && good;
  if (!good) return false;
  buffer_take(&a->in, ANSWER_BYTES);
  a->state = AGENT_READY;
  a->attempts = 0;
  a->retry_at = 0;
  a->deadline = 0;
  mark_dirty(a);
  return true;
}

/* Handles one answer if there is a whole one; false when there is nothing more to do. */
static bool handle_next(struct agent *a) {
  size_t used = buffer_used(&a->in);
  bool good;
  if (a->state == AGENT_GREETED) {
    if (used < ANSWER_BYTES) return false;
    good = handle_answer(a);
  } else {
    if (used < HEADER_BYTES) return false;
    struct reader r = {.at = a->in.data + a->in.start, .left = used};
    uint32_t length = read_u32(&r);
    uint8_t type = read_u8(&r);
    if (length <= MAX_ANSWER_BYTES && r.left < length) return false;
    r.left = length;
    good = length <= MAX_ANSWER_BYTES && handle_frame(a, type, &r);
    if (good && a->source.fd >= 0) buffer_take(&a->in, HEADER_BYTES + length);
  }
  if (!good) agent_blame(a);
  return a->source.fd >= 0;
}

static bool take_fds(struct agent *a, struct msghdr *message) {
  for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    int count = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int)), fds[4];
    memcpy(fds, CMSG_DATA(c), (size_t)count * sizeof(int));
    if (count < 1 || count > 2 || a->received_count == MAX_RECEIVED || a->state != AGENT_READY) {
      close_all(fds, count);
      return false;
    }
    struct received *next = &a->received[a->received_count++];
    memcpy(next->fds, fds, (size_t)count * sizeof(int));
    next->count = count;
  }
  return true;
}

/* Reads once and handles what came; false when there is nothing more to read. */
static bool read_once(struct agent *a) {
  static uint8_t chunk[8192];
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(4 * sizeof(int))];
  } control;
  struct iovec piece = {.iov_base = chunk, .iov_len = sizeof chunk};
  struct msghdr message = {
      .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  ssize_t count = recvmsg(a->source.fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (count <= 0) {
    /* Before the handshake that is how an agent says that it does not know the token. */
    if (a->state == AGENT_GREETED) dial_failed(a, EACCES);
    else agent_lost(a, ECONNRESET);
    return false;
  }
  bool good = take_fds(a, &message);
  if (good && message.msg_flags & MSG_CTRUNC) {
    /* Either it sent more than it may, or we are out of descriptors: not known, so no blame. */
    agent_lost(a, EMFILE);
    return false;
  }
  if (!good) {
    agent_blame(a);
    return false;
  }
  buffer_add(&a->in, chunk, (size_t)count);
  while (handle_next(a)) continue;
  if (a->source.fd < 0) return false;
  /* Descriptors come with the first byte of their frame. */
  if (a->received_count > 0 && buffer_used(&a->in) == 0) {
    agent_blame(a);
    return false;
  }
  return true;
}

static void agent_ready(struct source *source, uint32_t events) {
  struct agent *a = source->owner;
  if (events & EPOLLOUT) flush(a);
  for (int i = 0; i < READS_A_TURN && read_once(a); i++) continue;
}

/* ---- holding and time ---- */

struct agent *agent_hold(const char *path, const uint8_t token[TOKEN_BYTES]) {
  for (struct agent *a = agents; a != NULL; a = a->next) {
    if (strcmp(a->path, path) != 0 || memcmp(a->token, token, TOKEN_BYTES) != 0) continue;
    a->users++;
    return a;
  }
  struct agent *a = allocate(sizeof *a);
  a->path = allocate(strlen(path) + 1);
  strcpy(a->path, path);
  memcpy(a->token, token, TOKEN_BYTES);
  a->source.fd = -1;
  a->users = 1;
  a->next = agents;
  agents = a;
  agents_total++;
  return a;
}

void agent_release(struct agent *a) {
  if (--a->users > 0 || a->dead) return;
  a->dead = true;
  disconnect(a);
  /* Nobody is left who could wait for an answer. */
  fail_all(&a->sent, EREPLACED);
  fail_all(&a->waiting, EREPLACED);
  for (struct agent **link = &agents; *link != NULL; link = &(*link)->next) {
    if (*link != a) continue;
    *link = a->next;
    break;
  }
  agents_total--;
  explicit_bzero(a->token, TOKEN_BYTES);
  free(a->path);
  free_later(a);
}

static void requests_due(struct agent *a, int64_t now) {
  for (struct request *r = a->sent.first, *next; r != NULL; r = next) {
    next = r->next;
    if (r->fresh && now >= r->sent_at + FRESH_MS) {
      no_longer_fresh(r);
      mark_dirty(a);
    }
    if (r->fresh) loop_wake_at(r->sent_at + FRESH_MS);
    if (r->forward == NULL) continue;
    if (now < r->sent_at + LISTEN_MS) {
      loop_wake_at(r->sent_at + LISTEN_MS);
      continue;
    }
    struct forward *f = r->forward;
    r->forward = NULL;
    forward_listens(f, NULL, 0, 0, ETIMEDOUT);
  }
}

void agents_due(int64_t now) {
  for (struct agent *a = agents, *next; a != NULL; a = next) {
    next = a->next;
    if (a->dead) continue;
    a->users++;
    if (a->deadline != 0 && now >= a->deadline) {
      a->attempts = MAX_TRIES;
      dial_failed(a, ETIMEDOUT);
    }
    loop_wake_at(a->deadline);
    if (a->retry_at != 0 && now >= a->retry_at) {
      a->retry_at = 0;
      mark_dirty(a);
    }
    loop_wake_at(a->retry_at);
    requests_due(a, now);
    agent_release(a);
  }
}
