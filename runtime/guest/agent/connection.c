/*
 * Connections of hosts: the handshake, the splitting into frames, and the writing of answers.
 * Whoever does not know the token is dropped before a single frame of theirs is looked at.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "guest.h"

#define ACCEPT_PAUSE_MS 50
/* So many bytes of a possible HELLO are not held back: no frame may wait for its own last bytes. */
#define PASSED_BYTES 8
#define ANSWER_BYTES (MAGIC_BYTES + NONCE_BYTES + 16)

static const uint8_t magic[MAGIC_BYTES + 1] = "\x9cSPACES-GUEST-H\n";
static const uint8_t answer_magic[MAGIC_BYTES + 1] = "\x9dSPACES-GUEST-A\n";

struct connection *connections;
static uint8_t token[TOKEN_BYTES];
static struct source listening = {.fd = -1};
static int64_t accept_again;
static uint32_t last_serial;

void connections_set_token(const uint8_t value[TOKEN_BYTES]) { memcpy(token, value, TOKEN_BYTES); }

/* ---- writing ---- */

struct frame frame_begin(struct connection *c, uint8_t type) {
  uint8_t *at = buffer_room(&c->output, HEADER_BYTES);
  struct frame f = {.c = c, .header = buffer_used(&c->output)};
  put_u32(at, 0);
  at[4] = type;
  c->output.end += HEADER_BYTES;
  c->dirty = true;
  return f;
}

void frame_bytes(struct frame *f, const void *bytes, size_t count) {
  buffer_add(&f->c->output, bytes, count);
}

void frame_u8(struct frame *f, uint8_t value) { frame_bytes(f, &value, 1); }

void frame_u16(struct frame *f, uint16_t value) {
  uint8_t bytes[2];
  put_u16(bytes, value);
  frame_bytes(f, bytes, sizeof bytes);
}

void frame_u32(struct frame *f, uint32_t value) {
  uint8_t bytes[4];
  put_u32(bytes, value);
  frame_bytes(f, bytes, sizeof bytes);
}

void frame_u64(struct frame *f, uint64_t value) {
  uint8_t bytes[8];
  put_u64(bytes, value);
  frame_bytes(f, bytes, sizeof bytes);
}

size_t frame_end(struct frame *f) {
  struct buffer *output = &f->c->output;
  size_t bytes = buffer_used(output) - f->header;
  put_u32(output->data + output->start + f->header, (uint32_t)(bytes - HEADER_BYTES));
  return bytes;
}

void send_ok(struct connection *c, uint32_t request) {
  struct frame f = frame_begin(c, A_OK);
  frame_u32(&f, request);
  frame_end(&f);
}

void send_error(struct connection *c, uint32_t request, int error) {
  struct frame f = frame_begin(c, A_ERROR);
  frame_u32(&f, request);
  frame_u32(&f, (uint32_t)error);
  frame_end(&f);
}

/* The next bytes to write; up to the next frame that carries descriptors, or exactly that frame. */
static size_t next_piece(struct connection *c, struct handover **carried) {
  size_t bytes = buffer_used(&c->output);
  *carried = NULL;
  if (c->handover_count == 0) return bytes;
  struct handover *first = &c->handovers[0];
  if (first->at > c->written) return (size_t)(first->at - c->written);
  *carried = first;
  return first->frame_bytes;
}

static ssize_t send_with_fds(int fd, const void *bytes, size_t count, const struct handover *h) {
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(2 * sizeof(int))];
  } control;
  memset(&control, 0, sizeof control);
  size_t fds_bytes = (size_t)h->count * sizeof(int);
  struct iovec piece = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = count};
  struct msghdr message = {.msg_iov = &piece,
                           .msg_iovlen = 1,
                           .msg_control = &control,
                           .msg_controllen = CMSG_SPACE(fds_bytes)};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(fds_bytes);
  memcpy(CMSG_DATA(header), h->fds, fds_bytes);
  return sendmsg(fd, &message, MSG_NOSIGNAL);
}

static void drop_first_handover(struct connection *c) {
  for (int i = 0; i < c->handovers[0].count; i++) close(c->handovers[0].fds[i]);
  c->handover_count--;
  memmove(&c->handovers[0], &c->handovers[1], (size_t)c->handover_count * sizeof c->handovers[0]);
}

static struct source *writing_end(struct connection *c) { return c->split ? &c->out : &c->in; }

static void update_interest(struct connection *c) {
  if (c->closed) return;
  /* A host that does not read its answers gets no more of them. */
  bool reads = !c->closing && buffer_used(&c->output) < OUTPUT_HIGH_BYTES;
  bool writes = buffer_used(&c->output) > 0;
  uint32_t in = reads ? EPOLLIN : 0, out = writes ? EPOLLOUT : 0;
  if (c->split) {
    source_watch(&c->in, in);
    source_watch(&c->out, out);
  } else {
    source_watch(&c->in, in | out);
  }
}

static void end_session(struct connection *c);

static void flush(struct connection *c) {
  c->dirty = false;
  while (!c->closed && buffer_used(&c->output) > 0) {
    struct handover *carried;
    size_t bytes = next_piece(c, &carried);
    const uint8_t *from = c->output.data + c->output.start;
    int fd = writing_end(c)->fd;
    ssize_t count = carried != NULL ? send_with_fds(fd, from, bytes, carried) : write(fd, from, bytes);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) break;
    if (count < 0) {
      connection_close(c);
      return;
    }
    /* The descriptors went with the first byte. */
    if (carried != NULL) drop_first_handover(c);
    c->written += (size_t)count;
    buffer_take(&c->output, (size_t)count);
  }
  if (c->closing && buffer_used(&c->output) == 0) {
    end_session(c);
    if (c->closed) return;
  }
  if (c->starved && connection_has_room(c)) {
    c->starved = false;
    processes_pump(c);
    network_pump(c);
  }
  update_interest(c);
}

/* ---- closing ---- */

static void forget_session(struct connection *c) {
  processes_drop_connection(c);
  network_drop_connection(c);
  while (c->handover_count > 0) drop_first_handover(c);
  buffer_free(&c->input);
  buffer_free(&c->output);
  c->starved = false;
  c->authenticated = false;
  /* Answers to the old session's questions must not reach the next one. */
  c->serial = ++last_serial;
}

void connection_close(struct connection *c) {
  if (c->closed) return;
  c->closed = true;
  forget_session(c);
  /* On stdin and stdout there is only one host, and it is gone for good. */
  if (c->watcher.enabled) shutdown_begin(0);
  source_close(&c->in);
  source_close(&c->out);
  for (struct connection **link = &connections; *link != NULL; link = &(*link)->next) {
    if (*link != c) continue;
    *link = c->next;
    break;
  }
  free_later(c);
}

/* The connection is over; on stdin and stdout the next HELLO may still come. */
static void end_session(struct connection *c) {
  if (!c->watcher.enabled) {
    connection_close(c);
    return;
  }
  forget_session(c);
  c->closing = c->leaving = false;
  c->deadline = c->lease_ms = 0;
}

void connection_fail(struct connection *c, const char *text) {
  if (c->closed || c->closing) return;
  struct frame f = frame_begin(c, A_PROTOCOL_ERROR);
  frame_bytes(&f, text, strlen(text));
  frame_end(&f);
  c->closing = true;
  c->deadline = now_ms() + HELLO_MS;
}

/* ---- reading ---- */

static void dispatch(struct connection *c, uint8_t type, struct reader *r) {
  switch (type) {
    case F_PING: {
      struct frame f = frame_begin(c, A_PONG);
      frame_bytes(&f, r->at, r->left > 64 ? 64 : r->left);
      frame_end(&f);
      break;
    }
    case F_SPAWN: process_spawn(c, r); break;
    case F_ATTACH: process_attach(c, r); break;
    case F_DETACH: process_detach(c, r); break;
    case F_CREDIT: process_credit(c, r); break;
    case F_STDIN: process_stdin(c, r); break;
    case F_CLOSE_STDIN: process_close_stdin(c, r); break;
    case F_SIGNAL: process_signal(c, r); break;
    case F_KILL: process_kill(c, r); break;
    case F_RESIZE: process_resize(c, r); break;
    case F_LIST: process_list(c, r); break;
    case F_RELEASE: process_release(c, r); break;
    case F_CONNECT: network_connect(c, r); break;
    case F_LISTEN: network_listen(c, r); break;
    case F_UNLISTEN: network_unlisten(c, r); break;
    case F_DATA: network_data(c, r); break;
    case F_CHANNEL_CREDIT: network_credit(c, r); break;
    case F_EOF: network_eof(c, r); break;
    case F_RESET: network_reset(c, r); break;
    case F_LISTEN_FD: network_listen_fd(c, r); break;
    case F_CONNECT_FD: network_connect_fd(c, r); break;
    case F_BYE: c->leaving = true; break;
    case F_SHUTDOWN: {
      uint32_t request = read_u32(r), grace = read_u32(r);
      if (r->bad) break;
      send_ok(c, request);
      shutdown_begin(grace > MAX_KILL_MS ? MAX_KILL_MS : (int)grace);
      break;
    }
    default: connection_fail(c, "unknown frame type"); return;
  }
  if (r->bad) connection_fail(c, "malformed frame");
}

static void handle_frames(struct connection *c) {
  while (!c->closed && !c->closing && buffer_used(&c->input) >= HEADER_BYTES) {
    const uint8_t *header = c->input.data + c->input.start;
    size_t length = get_u32(header);
    uint8_t type = header[4];
    if (length > (type == F_SPAWN ? MAX_SPAWN_BYTES : MAX_FRAME_BYTES)) {
      connection_fail(c, "frame too long");
      return;
    }
    if (buffer_used(&c->input) < HEADER_BYTES + length) return;
    struct reader r = {.at = header + HEADER_BYTES, .left = length};
    dispatch(c, type, &r);
    buffer_take(&c->input, HEADER_BYTES + length);
    if (c->leaving) {
      end_session(c);
      return;
    }
    /* Frames that wait here are handled once the host has read what they led to. */
    if (!connection_has_room(c)) return;
  }
}

static bool tokens_equal(const uint8_t *given) {
  uint8_t difference = 0;
  for (size_t i = 0; i < TOKEN_BYTES; i++) difference |= (uint8_t)(given[i] ^ token[i]);
  return difference == 0;
}

/* Answers a whole HELLO; false when it is not one. */
static bool hello(struct connection *c, const uint8_t *bytes) {
  if (memcmp(bytes, magic, MAGIC_BYTES) != 0 || !tokens_equal(bytes + MAGIC_BYTES)) return false;
  const uint8_t *nonce = bytes + MAGIC_BYTES + TOKEN_BYTES;
  struct reader r = {.at = nonce + NONCE_BYTES, .left = 4};
  uint16_t version = read_u16(&r);
  c->lease_ms = 1000 * (int64_t)read_u16(&r);
  c->heard_at = now_ms();
  uint8_t answer[ANSWER_BYTES];
  memcpy(answer, answer_magic, MAGIC_BYTES);
  memcpy(answer + MAGIC_BYTES, nonce, NONCE_BYTES);
  uint8_t *rest = answer + MAGIC_BYTES + NONCE_BYTES;
  put_u16(rest, PROTOCOL_VERSION);
  put_u16(rest + 2, c->passes_fds ? 1 : 0);
  put_u32(rest + 4, AGENT_VERSION);
  put_u32(rest + 8, (uint32_t)getpid());
  put_u32(rest + 12, WINDOW_BYTES);
  buffer_add(&c->output, answer, sizeof answer);
  c->dirty = true;
  c->authenticated = true;
  c->deadline = 0;
  if (version != PROTOCOL_VERSION) connection_fail(c, "this protocol version is not spoken here");
  return true;
}

static void read_stranger(struct connection *c) {
  if (buffer_used(&c->input) < HELLO_BYTES) return;
  if (!hello(c, c->input.data + c->input.start)) {
    connection_close(c);
    return;
  }
  buffer_take(&c->input, HELLO_BYTES);
}

/* Bytes for the frames; before the handshake nothing is one. */
static void pass(struct connection *c, const uint8_t *bytes, size_t count) {
  if (c->authenticated && !c->closing) buffer_add(&c->input, bytes, count);
}

static void start_over(struct connection *c, const uint8_t *bytes) {
  /* What the last host said completely still counts. */
  if (c->authenticated) handle_frames(c);
  forget_session(c);
  c->closing = c->leaving = false;
  c->deadline = 0;
  hello(c, bytes);
}

static void watch_byte(struct connection *c, uint8_t byte);

/* What looked like a HELLO was data, in which a real one may begin. That is shorter: this ends. */
static void release_false_hello(struct connection *c) {
  uint8_t again[HELLO_BYTES];
  memcpy(again, c->watcher.held, HELLO_BYTES);
  const uint8_t *restart = memchr(again + MAGIC_BYTES, magic[0], HELLO_BYTES - MAGIC_BYTES);
  size_t plain = restart == NULL ? HELLO_BYTES : (size_t)(restart - again);
  pass(c, again + PASSED_BYTES, plain - PASSED_BYTES);
  for (size_t i = plain; i < HELLO_BYTES; i++) watch_byte(c, again[i]);
}

/*
 * On stdin a new host may come while the last one's frame is half done. Its HELLO is found wherever
 * it stands. From the 9th byte on, what looks like one is held back, so that the token never reaches
 * a process's stdin; held bytes that turn out to be data are released. The first byte of the magic
 * occurs in it once, so a mismatch can only restart at that byte.
 */
static void watch_byte(struct connection *c, uint8_t byte) {
  struct watcher *w = &c->watcher;
  bool fits = w->matched >= MAGIC_BYTES || byte == magic[w->matched];
  if (!fits) {
    if (w->matched > PASSED_BYTES) pass(c, w->held + PASSED_BYTES, w->matched - PASSED_BYTES);
    w->matched = 0;
    fits = byte == magic[0];
  }
  if (!fits || w->matched < PASSED_BYTES) pass(c, &byte, 1);
  if (!fits) return;
  w->held[w->matched++] = byte;
  if (w->matched < HELLO_BYTES) return;
  w->matched = 0;
  if (tokens_equal(w->held + MAGIC_BYTES)) {
    start_over(c, w->held);
  } else {
    release_false_hello(c);
  }
}

static void watch_bytes(struct connection *c, const uint8_t *bytes, size_t count) {
  size_t at = 0;
  while (at < count && !c->closed) {
    if (c->watcher.matched == 0) {
      const uint8_t *found = memchr(bytes + at, magic[0], count - at);
      size_t plain = found == NULL ? count - at : (size_t)(found - bytes) - at;
      pass(c, bytes + at, plain);
      at += plain;
      if (at == count) break;
    }
    watch_byte(c, bytes[at++]);
  }
}

static ssize_t read_input(struct connection *c) {
  static uint8_t chunk[CHUNK_BYTES];
  if (!c->watcher.enabled) {
    size_t most = c->authenticated ? CHUNK_BYTES : HELLO_BYTES - buffer_used(&c->input);
    ssize_t count = read(c->in.fd, buffer_room(&c->input, most), most);
    if (count > 0) c->input.end += (size_t)count;
    return count;
  }
  ssize_t count = read(c->in.fd, chunk, sizeof chunk);
  if (count > 0) watch_bytes(c, chunk, (size_t)count);
  return count;
}

static void connection_ready(struct connection *c, uint32_t events) {
  if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && c->in.interest & EPOLLIN) {
    ssize_t count = read_input(c);
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) {
      connection_close(c);
      return;
    }
    if (c->lease_ms != 0) c->heard_at = now_ms();
    if (!c->closed && !c->authenticated && !c->watcher.enabled) read_stranger(c);
    if (!c->closed && c->authenticated) handle_frames(c);
  } else if (events & EPOLLERR || (events & EPOLLHUP && !(events & EPOLLOUT))) {
    connection_close(c);
    return;
  }
  if (!c->closed && events & EPOLLOUT) c->dirty = true;
}

static void in_ready(struct source *source, uint32_t events) {
  connection_ready(container(source, struct connection, in), events);
}

static void out_ready(struct source *source, uint32_t events) {
  struct connection *c = container(source, struct connection, out);
  if (events & EPOLLERR) {
    connection_close(c);
    return;
  }
  c->dirty = true;
}

bool connections_flush(void) {
  bool worked = false;
  for (struct connection *c = connections, *next; c != NULL; c = next) {
    next = c->next;
    /* Answers that were waited for may let frames through that lie here already. */
    for (int turn = 0; turn < 64 && !c->closed && c->dirty; turn++) {
      worked = true;
      flush(c);
      if (!c->closed && c->authenticated && connection_has_room(c)) handle_frames(c);
    }
    update_interest(c);
  }
  return worked;
}

/* ---- opening ---- */

static struct connection *connection_add(int in, int out) {
  struct connection *c = calloc(1, sizeof *c);
  if (c == NULL) return NULL;
  c->in = (struct source){.fd = in, .ready = in_ready};
  c->out = (struct source){.fd = in == out ? -1 : out, .ready = out_ready};
  c->split = in != out;
  c->serial = ++last_serial;
  int domain = 0, type = 0;
  socklen_t size = sizeof domain;
  getsockopt(out, SOL_SOCKET, SO_DOMAIN, &domain, &size);
  size = sizeof type;
  getsockopt(out, SOL_SOCKET, SO_TYPE, &type, &size);
  c->passes_fds = domain == AF_UNIX && type == SOCK_STREAM;
  c->next = connections;
  connections = c;
  return c;
}

/* Processes of the space can connect too. They must not keep the host out: the oldest goes. */
static bool make_room(void) {
  int strangers = 0, all = 0;
  struct connection *oldest = NULL;
  for (struct connection *c = connections; c != NULL; c = c->next) {
    all++;
    if (c->authenticated) continue;
    strangers++;
    oldest = c;
  }
  if (strangers < MAX_STRANGERS && all < MAX_CONNECTIONS) return true;
  if (oldest == NULL) return false;
  connection_close(oldest);
  return true;
}

static bool accept_one(void) {
  int fd = accept4(listening.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) {
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
      source_watch(&listening, 0);
      accept_again = now_ms() + ACCEPT_PAUSE_MS;
    }
    return false;
  }
  struct connection *c = make_room() ? connection_add(fd, fd) : NULL;
  if (c == NULL) {
    close(fd);
    return true;
  }
  c->deadline = now_ms() + HELLO_MS;
  update_interest(c);
  return true;
}

static void accept_ready(struct source *source, uint32_t events) {
  (void)source;
  (void)events;
  for (int i = 0; i < 16 && accept_one(); i++) continue;
}

bool connections_serve(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  struct stat found;
  if (strlen(path) >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return false;
  }
  strcpy(address.sun_path, path);
  if (lstat(path, &found) == 0 && S_ISSOCK(found.st_mode)) unlink(path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  /* Anyone may connect, the token decides: the host's user need not be known in here. */
  umask(0);
  bool bound = bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 4096) == 0;
  umask(022);
  if (!bound) return false;
  listening = (struct source){.fd = fd, .ready = accept_ready};
  source_watch(&listening, EPOLLIN);
  return true;
}

void connections_stdio(void) {
  int in = fcntl(0, F_DUPFD_CLOEXEC, 3), out = fcntl(1, F_DUPFD_CLOEXEC, 3);
  if (in < 0 || out < 0) die("standard input or output is closed");
  fcntl(in, F_SETFL, fcntl(in, F_GETFL) | O_NONBLOCK);
  fcntl(out, F_SETFL, fcntl(out, F_GETFL) | O_NONBLOCK);
  struct connection *c = connection_add(in, out);
  if (c == NULL) die("out of memory");
  c->watcher.enabled = true;
  update_interest(c);
}

int64_t connections_deadline(int64_t now) {
  int64_t soonest = INT64_MAX;
  if (accept_again != 0 && accept_again <= now) {
    accept_again = 0;
    source_watch(&listening, EPOLLIN);
  }
  if (accept_again != 0) soonest = accept_again;
  for (struct connection *c = connections, *next; c != NULL; c = next) {
    next = c->next;
    int64_t due = c->deadline != 0 ? c->deadline : INT64_MAX;
    if (c->lease_ms != 0 && c->heard_at + c->lease_ms < due) due = c->heard_at + c->lease_ms;
    if (due <= now) {
      end_session(c);
    } else if (due < soonest) {
      soonest = due;
    }
  }
  return soonest;
}

struct connection *connection_by_serial(uint32_t serial) {
  for (struct connection *c = connections; c != NULL; c = c->next) {
    if (c->serial == serial && !c->closed) return c;
  }
  return NULL;
}
