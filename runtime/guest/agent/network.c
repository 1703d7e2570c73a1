/*
 * The space's loopback for the host: connections and listeners, either multiplexed over the host's
 * connection (channels) or handed to the host as file descriptors.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest.h"

/* The agent's channel numbers have this bit, the host's do not. */
#define ACCEPTED_BIT 0x80000000u
#define CREDIT_STEP (64 * 1024)
#define ACCEPT_PAUSE_MS 50
#define BACKLOG 1024

struct channel {
  struct channel *next;
  struct connection *c;
  struct source source;
  struct buffer pending; /* from the host, not written yet */
  uint32_t id;
  uint32_t credit; /* how much the host takes */
  uint32_t owed;   /* bytes written, for which credit was not given back yet */
  uint16_t port;
  bool connecting;
  bool second_family; /* 127.0.0.1 refused; this is ::1 */
  bool hand_over;     /* goes to the host as a descriptor; `id` is the request then */
  bool host_ended, socket_ended;
};

struct listener {
  struct listener *next;
  struct connection *c;
  struct source sources[2];
  uint32_t id;
  uint32_t credit;
  int64_t again; /* when to accept again after running out of descriptors; 0: accepting */
};

void network_up(void) {
  struct ifreq request = {.ifr_name = "lo"};
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  /* Where that is not permitted, whoever made the space has seen to it, or there is no network. */
  if (ioctl(fd, SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_UP) == 0) {
    request.ifr_flags |= IFF_UP;
    ioctl(fd, SIOCSIFFLAGS, &request);
  }
  close(fd);
}

/* ---- frames about a channel ---- */

static void send_channel(struct connection *c, uint8_t type, uint32_t id) {
  struct frame f = frame_begin(c, type);
  frame_u32(&f, id);
  frame_end(&f);
}

static void send_net_error(struct connection *c, uint32_t id, int error) {
  struct frame f = frame_begin(c, A_NET_ERROR);
  frame_u32(&f, id);
  frame_u32(&f, (uint32_t)error);
  frame_end(&f);
}

/* Once this frame is queued, the descriptors belong to the connection. */
static void send_fds(struct connection *c, uint32_t request, uint16_t port, const int *fds, int count) {
  struct handover *h = &c->handovers[c->handover_count++];
  struct frame f = frame_begin(c, A_FDS);
  frame_u32(&f, request);
  frame_u8(&f, (uint8_t)count);
  frame_u16(&f, port);
  *h = (struct handover){.at = c->written + f.header, .count = count};
  memcpy(h->fds, fds, (size_t)count * sizeof *fds);
  h->frame_bytes = (uint32_t)frame_end(&f);
}

/* ---- channels ---- */

static struct channel **bucket(struct connection *c, uint32_t id) {
  return &c->channels[(id ^ id >> 16) % CHANNEL_BUCKETS];
}

static struct channel *channel_find(struct connection *c, uint32_t id) {
  for (struct channel *ch = *bucket(c, id); ch != NULL; ch = ch->next) {
    if (ch->id == id && !ch->hand_over) return ch;
  }
  return NULL;
}

static struct channel *channel_add(struct connection *c, uint32_t id, int fd) {
  struct channel *ch = calloc(1, sizeof *ch);
  if (ch == NULL) return NULL;
  ch->c = c;
  ch->id = id;
  ch->source.fd = fd;
  ch->next = *bucket(c, id);
  *bucket(c, id) = ch;
  c->channel_count++;
  return ch;
}

static void resume_listeners(struct connection *c);

static void channel_free(struct channel *ch) {
  struct connection *c = ch->c;
  for (struct channel **link = bucket(c, ch->id); *link != NULL; link = &(*link)->next) {
    if (*link != ch) continue;
    *link = ch->next;
    break;
  }
  c->channel_count--;
  source_close(&ch->source);
  buffer_free(&ch->pending);
  free_later(ch);
  resume_listeners(c);
}

/* Ends a channel so that the other side of the socket sees a reset, not a regular end. */
static void channel_abort(struct channel *ch) {
  struct linger hard = {.l_onoff = 1};
  setsockopt(ch->source.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  channel_free(ch);
}

static void channel_reset(struct channel *ch) {
  send_channel(ch->c, A_RESET, ch->id);
  channel_abort(ch);
}

static void channel_watch(struct channel *ch) {
  bool reads = !ch->socket_ended && ch->credit > 0;
  if (reads && !connection_has_room(ch->c)) {
    ch->c->starved = true;
    reads = false;
  }
  bool writes = buffer_used(&ch->pending) > 0;
  source_watch(&ch->source, (reads ? EPOLLIN : 0) | (writes ? EPOLLOUT : 0));
}

static void give_credit(struct channel *ch) {
  if (ch->owed == 0 || (ch->owed < CREDIT_STEP && buffer_used(&ch->pending) > 0)) return;
  struct frame f = frame_begin(ch->c, A_CHANNEL_CREDIT);
  frame_u32(&f, ch->id);
  frame_u32(&f, ch->owed);
  frame_end(&f);
  ch->owed = 0;
}

/* Writes what the host sent; false when the channel is gone. */
static bool channel_write(struct channel *ch) {
  struct buffer *b = &ch->pending;
  while (buffer_used(b) > 0) {
    ssize_t count = send(ch->source.fd, b->data + b->start, buffer_used(b), MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) break;
    if (count < 0) {
      channel_reset(ch);
      return false;
    }
    buffer_take(b, (size_t)count);
    ch->owed += (uint32_t)count;
  }
  give_credit(ch);
  /* A thousand idle channels must not hold a thousand buffers. */
  if (buffer_used(b) == 0) buffer_free(b);
  if (ch->host_ended && buffer_used(b) == 0) {
    shutdown(ch->source.fd, SHUT_WR);
    if (ch->socket_ended) {
      channel_free(ch);
      return false;
    }
  }
  return true;
}

/* Reads once from the socket straight into a frame; false when the channel is gone. */
static bool channel_read(struct channel *ch) {
  struct connection *c = ch->c;
  size_t most = ch->credit < CHUNK_BYTES ? ch->credit : CHUNK_BYTES;
  if (ch->socket_ended || most == 0 || !connection_has_room(c)) return true;
  struct frame f = frame_begin(c, A_DATA);
  frame_u32(&f, ch->id);
  ssize_t count = read(ch->source.fd, buffer_room(&c->output, most), most);
  if (count > 0) {
    c->output.end += (size_t)count;
    ch->credit -= (uint32_t)count;
    frame_end(&f);
    return true;
  }
  /* Nothing came: the frame that was begun is taken back. */
  c->output.end -= HEADER_BYTES + 4;
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  if (count < 0) {
    channel_reset(ch);
    return false;
  }
  ch->socket_ended = true;
  send_channel(c, A_EOF, ch->id);
  if (ch->host_ended && buffer_used(&ch->pending) == 0) {
    channel_free(ch);
    return false;
  }
  return true;
}

static void channel_ready(struct source *source, uint32_t events) {
  struct channel *ch = container(source, struct channel, source);
  if (events & EPOLLOUT && !channel_write(ch)) return;
  if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
    if (!channel_read(ch)) return;
    /* Both directions are dead, and reading is over: nothing would ever take this event away. */
    if (events & EPOLLERR && ch->socket_ended) {
      channel_reset(ch);
      return;
    }
    if (events & EPOLLHUP && ch->socket_ended && buffer_used(&ch->pending) == 0) {
      if (ch->host_ended) channel_free(ch);
      else source_watch(&ch->source, 0);
      return;
    }
  }
  channel_watch(ch);
}

static void channel_open(struct channel *ch) {
  int on = 1;
  setsockopt(ch->source.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ch->connecting = false;
  ch->source.ready = channel_ready;
}

/* ---- connecting ---- */

static int loopback_socket(int family) {
  int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int on = 1;
  if (fd >= 0 && family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  return fd;
}

struct address {
  struct sockaddr_storage storage;
  socklen_t bytes;
};

static struct address loopback_address(int family, uint16_t port) {
  struct address a = {0};
  if (family == AF_INET) {
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_port = htons(port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    memcpy(&a.storage, &in, a.bytes = sizeof in);
  } else {
    struct sockaddr_in6 in = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    memcpy(&a.storage, &in, a.bytes = sizeof in);
  }
  return a;
}

/* Begins to connect; gives 0 or an errno. Writability tells the outcome. */
static int begin_connect(struct channel *ch, int family) {
  int fd = loopback_socket(family);
  if (fd < 0) return errno;
  struct address a = loopback_address(family, ch->port);
  if (connect(fd, (struct sockaddr *)&a.storage, a.bytes) < 0 && errno != EINPROGRESS) {
    int error = errno;
    close(fd);
    return error;
  }
  ch->source.fd = fd;
  source_watch(&ch->source, EPOLLOUT);
  return 0;
}

static void connect_failed(struct channel *ch, int error) {
  source_close(&ch->source);
  if (!ch->second_family) {
    ch->second_family = true;
    if (begin_connect(ch, AF_INET6) == 0) return;
  }
  if (ch->hand_over) {
    send_error(ch->c, ch->id, error);
  } else {
    send_net_error(ch->c, ch->id, error);
  }
  channel_free(ch);
}

static void hand_over(struct channel *ch) {
  struct connection *c = ch->c;
  if (c->handover_count == MAX_HANDOVERS) {
    send_error(c, ch->id, EAGAIN);
  } else {
    int fd = ch->source.fd;
    source_watch(&ch->source, 0);
    ch->source.fd = -1;
    send_fds(c, ch->id, ch->port, &fd, 1);
  }
  channel_free(ch);
}

static void connect_ready(struct source *source, uint32_t events) {
  struct channel *ch = container(source, struct channel, source);
  int error = 0;
  socklen_t bytes = sizeof error;
  (void)events;
  getsockopt(source->fd, SOL_SOCKET, SO_ERROR, &error, &bytes);
  if (error != 0) {
    /* The first refusal says enough: ::1 is only a second try. */
    connect_failed(ch, error);
    return;
  }
  if (ch->hand_over) {
    hand_over(ch);
    return;
  }
  channel_open(ch);
  send_channel(ch->c, A_CONNECTED, ch->id);
  if (channel_write(ch)) channel_watch(ch);
}

static struct channel *start_connect(struct connection *c, uint32_t id, uint16_t port, bool hands_over,
                                     int *error) {
  struct channel *ch = c->channel_count < MAX_CHANNELS ? channel_add(c, id, -1) : NULL;
  *error = EAGAIN;
  if (ch == NULL) return NULL;
  ch->port = port;
  ch->connecting = true;
  ch->hand_over = hands_over;
  ch->source.ready = connect_ready;
  *error = begin_connect(ch, AF_INET);
  if (*error != 0) connect_failed(ch, *error);
  return ch;
}

static bool id_is_free(struct connection *c, uint32_t id) {
  if (id & ACCEPTED_BIT || channel_find(c, id) != NULL) return false;
  for (struct listener *l = c->listeners; l != NULL; l = l->next) {
    if (l->id == id) return false;
  }
  return true;
}

void network_connect(struct connection *c, struct reader *r) {
  uint32_t id = read_u32(r);
  uint16_t port = read_u16(r);
  uint32_t credit = read_u32(r);
  if (r->bad || credit > MAX_CREDIT || !id_is_free(c, id)) {
    r->bad = true;
    return;
  }
  if (port == 0) {
    send_net_error(c, id, EINVAL);
    return;
  }
  int error;
  struct channel *ch = start_connect(c, id, port, false, &error);
  if (ch == NULL) {
    send_net_error(c, id, error);
  } else {
    ch->credit = credit;
  }
}

void network_connect_fd(struct connection *c, struct reader *r) {
  uint32_t request = read_u32(r);
  uint16_t port = read_u16(r);
  int error;
  if (r->bad) return;
  if (port == 0 || !c->passes_fds) {
    send_error(c, request, port == 0 ? EINVAL : EOPNOTSUPP);
  } else if (start_connect(c, request, port, true, &error) == NULL) {
    send_error(c, request, error);
  }
}

/* ---- listening ---- */

static int listen_on(int family, uint16_t port) {
  int fd = loopback_socket(family), on = 1;
  if (fd < 0) return -1;
  struct address a = loopback_address(family, port);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, (struct sockaddr *)&a.storage, a.bytes) == 0 && listen(fd, BACKLOG) == 0) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

static uint16_t port_of(int fd) {
  struct sockaddr_in address = {0};
  socklen_t bytes = sizeof address;
  getsockname(fd, (struct sockaddr *)&address, &bytes);
  return ntohs(address.sin_port);
}

/* Listens on 127.0.0.1 and, where there is one, on ::1; gives how many, or -1 with errno. */
static int listen_both(uint16_t *port, int fds[2]) {
  fds[0] = listen_on(AF_INET, *port);
  if (fds[0] < 0) return -1;
  *port = port_of(fds[0]);
  fds[1] = listen_on(AF_INET6, *port);
  if (fds[1] >= 0) return 2;
  if (errno != EADDRINUSE) return 1;
  /* Another program has the port on ::1: half a forward would be a trap. */
  close(fds[0]);
  errno = EADDRINUSE;
  return -1;
}

static void pause_listener(struct listener *l) {
  for (int i = 0; i < 2; i++) source_watch(&l->sources[i], 0);
}

static void resume_listeners(struct connection *c) {
  if (c->channel_count >= MAX_CHANNELS) return;
  for (struct listener *l = c->listeners; l != NULL; l = l->next) {
    l->again = 0;
    for (int i = 0; i < 2; i++) source_watch(&l->sources[i], EPOLLIN);
  }
}

static uint32_t next_accepted_id(struct connection *c) {
  uint32_t id;
  do id = ACCEPTED_BIT | c->next_accepted++;
  while (channel_find(c, id) != NULL);
  return id;
}

static bool accept_channel(struct listener *l, int listening) {
  struct connection *c = l->c;
  if (c->channel_count >= MAX_CHANNELS || !connection_has_room(c)) {
    pause_listener(l);
    c->starved = true;
    return false;
  }
  int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) {
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
      pause_listener(l);
      l->again = now_ms() + ACCEPT_PAUSE_MS;
    }
    return false;
  }
  struct channel *ch = channel_add(c, next_accepted_id(c), fd);
  if (ch == NULL) {
    close(fd);
    return false;
  }
  ch->credit = l->credit;
  channel_open(ch);
  struct frame f = frame_begin(c, A_ACCEPTED);
  frame_u32(&f, l->id);
  frame_u32(&f, ch->id);
  frame_end(&f);
  channel_watch(ch);
  return true;
}

static void accept_ready(struct listener *l, int fd) {
  for (int i = 0; i < 64 && accept_channel(l, fd); i++) continue;
}

static void first_ready(struct source *source, uint32_t events) {
  (void)events;
  accept_ready(container(source, struct listener, sources[0]), source->fd);
}

static void second_ready(struct source *source, uint32_t events) {
  (void)events;
  accept_ready(container(source, struct listener, sources[1]), source->fd);
}

static void listener_free(struct listener *l) {
  for (struct listener **link = &l->c->listeners; *link != NULL; link = &(*link)->next) {
    if (*link != l) continue;
    *link = l->next;
    break;
  }
  l->c->listener_count--;
  for (int i = 0; i < 2; i++) source_close(&l->sources[i]);
  free_later(l);
}

static void listener_add(struct connection *c, struct listener *l, const int fds[2]) {
  l->c = c;
  l->sources[0] = (struct source){.fd = fds[0], .ready = first_ready};
  l->sources[1] = (struct source){.fd = fds[1], .ready = second_ready};
  l->next = c->listeners;
  c->listeners = l;
  c->listener_count++;
  for (int i = 0; i < 2; i++) source_watch(&l->sources[i], EPOLLIN);
}

void network_listen(struct connection *c, struct reader *r) {
  uint32_t id = read_u32(r);
  uint16_t port = read_u16(r);
  uint32_t credit = read_u32(r);
  if (r->bad || credit > MAX_CREDIT || !id_is_free(c, id)) {
    r->bad = true;
    return;
  }
  int fds[2];
  struct listener *l = c->listener_count < MAX_LISTENERS ? calloc(1, sizeof *l) : NULL;
  if (l == NULL || listen_both(&port, fds) < 0) {
    send_net_error(c, id, l == NULL ? EAGAIN : errno);
    free(l);
    return;
  }
  l->id = id;
  l->credit = credit;
  listener_add(c, l, fds);
  struct frame f = frame_begin(c, A_LISTENING);
  frame_u32(&f, id);
  frame_u16(&f, port);
  frame_u8(&f, fds[1] >= 0 ? 2 : 1);
  frame_end(&f);
}

void network_unlisten(struct connection *c, struct reader *r) {
  uint32_t id = read_u32(r);
  for (struct listener *l = c->listeners; l != NULL && !r->bad; l = l->next) {
    if (l->id != id) continue;
    listener_free(l);
    return;
  }
}

void network_listen_fd(struct connection *c, struct reader *r) {
  uint32_t request = read_u32(r);
  uint16_t port = read_u16(r);
  int fds[2];
  if (r->bad) return;
  if (!c->passes_fds || c->handover_count == MAX_HANDOVERS) {
    send_error(c, request, c->passes_fds ? EAGAIN : EOPNOTSUPP);
    return;
  }
  int count = listen_both(&port, fds);
  if (count < 0) {
    send_error(c, request, errno);
  } else {
    send_fds(c, request, port, fds, count);
  }
}

/* ---- frames of the host about a channel; one that is gone is no fault: they may have crossed ---- */

void network_data(struct connection *c, struct reader *r) {
  uint32_t id = read_u32(r);
  struct channel *ch = r->bad ? NULL : channel_find(c, id);
  if (ch == NULL) return;
  if (ch->host_ended || r->left > WINDOW_BYTES - buffer_used(&ch->pending)) {
    connection_fail(c, "more data than was granted, or after the end");
    return;
  }
  buffer_add(&ch->pending, r->at, r->left);
  if (!ch->connecting && channel_write(ch)) channel_watch(ch);
}

void network_credit(struct connection *c, struct reader *r) {
  uint32_t id = read_u32(r), bytes = read_u32(r);
  struct channel *ch = r->bad ? NULL : channel_find(c, id);
  if (ch == NULL) return;
  if (bytes > MAX_CREDIT - ch->credit) bytes = MAX_CREDIT - ch->credit;
  ch->credit += bytes;
  if (!ch->connecting) channel_watch(ch);
}

void network_eof(struct connection *c, struct reader *r) {
  uint32_t id = read_u32(r);
  struct channel *ch = r->bad ? NULL : channel_find(c, id);
  if (ch == NULL || ch->host_ended) return;
  ch->host_ended = true;
  if (!ch->connecting && channel_write(ch)) channel_watch(ch);
}

void network_reset(struct connection *c, struct reader *r) {
  uint32_t id = read_u32(r);
  struct channel *ch = r->bad ? NULL : channel_find(c, id);
  if (ch != NULL) channel_abort(ch);
}

/* ---- all of a connection ---- */

void network_drop_connection(struct connection *c) {
  while (c->listeners != NULL) listener_free(c->listeners);
  for (int i = 0; i < CHANNEL_BUCKETS; i++) {
    while (c->channels[i] != NULL) channel_abort(c->channels[i]);
  }
}

void network_pump(struct connection *c) {
  for (int i = 0; i < CHANNEL_BUCKETS; i++) {
    for (struct channel *ch = c->channels[i]; ch != NULL; ch = ch->next) {
      if (!ch->connecting) channel_watch(ch);
    }
  }
  resume_listeners(c);
}

int64_t network_deadline(int64_t now) {
  int64_t soonest = INT64_MAX;
  for (struct connection *c = connections; c != NULL; c = c->next) {
    for (struct listener *l = c->listeners; l != NULL; l = l->next) {
      if (l->again == 0) continue;
      if (l->again <= now) {
        l->again = 0;
        for (int i = 0; i < 2; i++) source_watch(&l->sources[i], EPOLLIN);
      } else if (l->again < soonest) {
        soonest = l->again;
      }
    }
  }
  return soonest;
}
