/* The forwards: where each listens, to where it leads, and the accepting of connections. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "relay.h"

#define ACCEPTS_A_TURN 64

struct forward *forwards;
int forwards_active, forward_total;

static bool is_active(const struct forward *f) { return f->state != FORWARD_WAITING; }

static void set_state(struct forward *f, enum forward_state state) {
  forwards_active -= is_active(f);
  f->state = state;
  forwards_active += is_active(f);
}

static void answer_waiters(struct forward *f, int error) {
  while (f->waiters != NULL) {
    struct waiter *w = f->waiters;
    f->waiters = w->next;
    control_opened(w, f->port, error);
    free(w);
  }
}

static void add_waiter(struct forward *f, uint32_t control, uint32_t request) {
  struct waiter *w = allocate(sizeof *w);
  *w = (struct waiter){.next = f->waiters, .control = control, .request = request};
  f->waiters = w;
}

static void stop_listening(struct forward *f) {
  for (int i = 0; i < 2; i++) source_close(&f->listeners[i]);
  f->accept_again = 0;
}

static void forward_remove(struct forward *f, int error) {
  if (f->request != NULL) request_abandon(f->request);
  f->request = NULL;
  stop_listening(f);
  links_abort(f);
  set_state(f, FORWARD_WAITING);
  answer_waiters(f, error);
  if (f->source != NULL) agent_release(f->source);
  agent_release(f->remote);
  for (struct forward **link = &forwards; *link != NULL; link = &(*link)->next) {
    if (*link != f) continue;
    *link = f->next;
    break;
  }
  forward_total--;
  free_later(f);
}

static void forward_waits(struct forward *f, int error) {
  stop_listening(f);
  set_state(f, FORWARD_WAITING);
  f->last_error = error;
}

/* ---- accepting ---- */

static void pause_accepting(struct forward *f) {
  for (int i = 0; i < 2; i++) source_watch(&f->listeners[i], 0);
  f->accept_again = now_ms() + ACCEPT_PAUSE_MS;
  loop_wake_at(f->accept_again);
}

static bool resume_accepting(struct forward *f) {
  f->accept_again = 0;
  for (int i = 0; i < 2; i++) {
    if (!source_watch(&f->listeners[i], EPOLLIN)) return false;
  }
  return true;
}

static bool has_room(const struct forward *f) {
  return link_total < MAX_LINKS && f->link_count < MAX_FORWARD_LINKS && descriptors_left(2);
}

/* False when there is nothing more to accept now. */
static bool accept_one(struct forward *f, int listening) {
  if (!has_room(f)) {
    pause_accepting(f);
    return false;
  }
  int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd >= 0) {
    link_start(f, fd);
    return true;
  }
  switch (errno) {
    case EAGAIN: return false;
    case EINTR:
      /* It blocked: the space has changed the socket that it shares with us, to hold us up. */
      if (f->source != NULL) agent_blame(f->source);
      return false;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS: pause_accepting(f); return false;
    case EBADF:
    case EINVAL:
    case ENOTSOCK:
    case EOPNOTSUPP:
      /* Someone in the space has shut the socket down. */
      forward_waits(f, EINVAL);
      return false;
    default: return true; /* this one connection failed before it was accepted */
  }
}

static void listener_ready(struct source *source, uint32_t events) {
  (void)events;
  for (int i = 0; i < ACCEPTS_A_TURN && accept_one(source->owner, source->fd); i++) continue;
}

/* ---- opening ---- */

static void listen_with(struct forward *f, const int *fds, int count) {
  for (int i = 0; i < 2; i++) {
    f->listeners[i] = (struct source){
        .fd = i < count ? fds[i] : -1, .ready = listener_ready, .owner = f, .which = i};
  }
  set_state(f, FORWARD_LISTENING);
  f->last_error = 0;
  if (!resume_accepting(f)) {
    forward_remove(f, ENOMEM);
    return;
  }
  answer_waiters(f, 0);
}

void forward_listens(struct forward *f, const int *fds, int count, uint16_t port, int error) {
  f->request = NULL;
  if (error != 0) {
    forward_remove(f, error);
    return;
  }
  f->port = port;
  listen_with(f, fds, count);
}

static socklen_t host_address(const char *text, uint16_t port, struct sockaddr_storage *address) {
  struct sockaddr_in *in = (struct sockaddr_in *)address;
  struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)address;
  *address = (struct sockaddr_storage){0};
  if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    return sizeof *in;
  }
  if (inet_pton(AF_INET6, text, &in6->sin6_addr) == 1) {
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(port);
    return sizeof *in6;
  }
  return 0;
}

/* Gives a listening socket and its port, or -1 with errno. */
static int listen_on_host(const char *text, uint16_t *port) {
  struct sockaddr_storage address;
  socklen_t bytes = host_address(text, *port, &address);
  int on = 1;
  if (bytes == 0) {
    errno = EINVAL;
    return -1;
  }
  int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address.ss_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (bind(fd, (struct sockaddr *)&address, bytes) < 0 || listen(fd, BACKLOG) < 0 ||
      getsockname(fd, (struct sockaddr *)&address, &bytes) < 0) {
    int error = errno;
    close(fd);
    errno = error;
    return -1;
  }
  /* The port stands at the same place in both kinds of address. */
  *port = ntohs(((struct sockaddr_in *)&address)->sin_port);
  return fd;
}

static void begin(struct forward *f) {
  set_state(f, FORWARD_OPENING);
  if (f->source != NULL) {
    f->request = agent_listen(f->source, f, f->asked_port);
    return;
  }
  uint16_t port = f->asked_port;
  int fd = listen_on_host(f->address, &port);
  forward_listens(f, &fd, 1, port, fd < 0 ? errno : 0);
}

static struct forward *find(const char *id) {
  struct forward *f = forwards;
  while (f != NULL && strcmp(f->id, id) != 0) f = f->next;
  return f;
}

static struct forward *add(const char *id, const struct endpoint *source, struct agent *source_agent,
                           struct agent *remote, uint16_t remote_port) {
  struct forward *f = allocate(sizeof *f);
  strcpy(f->id, id);
  strcpy(f->address, source->address);
  f->state = FORWARD_WAITING;
  f->source = source_agent;
  f->asked_port = source->port;
  f->remote = remote;
  f->remote_port = remote_port;
  for (int i = 0; i < 2; i++) f->listeners[i].fd = -1;
  f->next = forwards;
  forwards = f;
  forward_total++;
  return f;
}

void forward_open(const char *id, const struct endpoint *source, const struct endpoint *remote,
                  uint32_t control, uint32_t request) {
  struct agent *from = source->guest ? agent_hold(source->path, source->token) : NULL;
  struct agent *to = agent_hold(remote->path, remote->token);
  if (from != NULL) agent_forgive(from);
  agent_forgive(to);
  struct forward *f = find(id);
  bool same = f != NULL && f->source == from && f->asked_port == source->port &&
              strcmp(f->address, source->address) == 0;
  if (f != NULL && !same) forward_remove(f, EREPLACED);
  if (same) {
    /* Only its destination may be new: what listens goes on listening. */
    if (from != NULL) agent_release(from);
    agent_release(f->remote);
    f->remote = to;
    f->remote_port = remote->port;
  } else if (forward_total >= MAX_FORWARDS) {
    struct waiter refused = {.control = control, .request = request};
    if (from != NULL) agent_release(from);
    agent_release(to);
    control_opened(&refused, 0, EUSERS);
    return;
  } else {
    f = add(id, source, from, to, remote->port);
  }
  add_waiter(f, control, request);
  if (f->state == FORWARD_LISTENING) answer_waiters(f, 0);
  else if (f->state == FORWARD_WAITING) begin(f);
}

/* ---- closing ---- */

bool forward_close(const char *id) {
  struct forward *f = find(id);
  if (f == NULL) return false;
  forward_remove(f, EREPLACED);
  return true;
}

static bool touches_path(const struct forward *f, const char *path) {
  return (f->source != NULL && strcmp(agent_path(f->source), path) == 0) ||
         strcmp(agent_path(f->remote), path) == 0;
}

int forwards_close_space(const char *path) {
  int count = 0;
  for (struct forward *f = forwards, *next; f != NULL; f = next) {
    next = f->next;
    if (!touches_path(f, path)) continue;
    forward_remove(f, EREPLACED);
    count++;
  }
  return count;
}

void forwards_agent_lost(struct agent *a, bool blamed) {
  for (struct forward *f = forwards; f != NULL; f = f->next) {
    bool touched = f->source == a || f->remote == a;
    int error = blamed ? EMISBEHAVED : ECONNRESET;
    if (f->state == FORWARD_LISTENING && (f->source == a || (blamed && touched))) {
      forward_waits(f, error);
    }
    /* Otherwise they end by themselves: what the space still sent before it ended is delivered. */
    if (blamed && touched) links_abort(f);
  }
}

void forwards_due(int64_t now) {
  for (struct forward *f = forwards; f != NULL; f = f->next) {
    if (f->accept_again != 0 && now >= f->accept_again && !resume_accepting(f)) pause_accepting(f);
    loop_wake_at(f->accept_again);
    links_due(f, now);
  }
}
