/*
 * What the files of the relay share. The relay is one thread around one epoll set. Its parts, from
 * the outside in: control.c hears commands, forward.c keeps the forwards, agent.c asks the agents of
 * spaces for sockets, link.c carries the bytes of one accepted connection.
 */
#ifndef RELAY_H
#define RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define RELAY_VERSION 1

/* Limits; protocol.md lists them. */
#define MAX_FORWARDS 1024
#define MAX_LINKS 4096
#define MAX_FORWARD_LINKS 2048
#define MAX_CONTROLS 512
#define MAX_REQUEST_BYTES (16 * 1024)
#define MAX_REPLY_BYTES (64 * 1024)
#define MAX_ID_BYTES 128
#define TOKEN_BYTES 32
#define ADDRESS_BYTES 46
#define BACKLOG 1024
#define ACCEPT_PAUSE_MS 50
#define LINK_CONNECT_MS 10000
#define CONTROL_IDLE_MS 30000
#define IDLE_MS 10000
#define SOCKET_CHECK_MS 5000

/* An agent said something that no agent says; errno has no word for it. */
#define EMISBEHAVED 4001
/* Another command replaced or closed the forward before it was open. */
#define EREPLACED 4002

/* ---- loop.c: the epoll set, time, and memory that must outlive the current batch ---- */

struct source {
  int fd;
  uint32_t interest;
  void (*ready)(struct source *source, uint32_t events);
  void *owner;
  int which; /* of several sources of one owner */
};

void loop_init(void);
/* Waits until something is ready or a deadline passes, and handles it. */
void loop_turn(void);
/* `interest` 0 takes the source out of the set; a closed end would otherwise wake us for ever. */
bool source_watch(struct source *source, uint32_t interest);
void source_close(struct source *source);
/* Frees after the current batch of events, which may still point at it. The memory's first member
 * must be a pointer: it is reused, so that this can never fail. */
void free_later(void *memory);
int64_t now_ms(void);
/* `at` (0: never) is a time at which every part's `…_due` has to look at its deadlines. */
void loop_wake_at(int64_t at);

/* ---- bytes.c: byte queues, and numbers and strings within them (little endian) ---- */

struct buffer {
  uint8_t *data;
  size_t start, end, capacity;
};

static inline size_t buffer_used(const struct buffer *b) { return b->end - b->start; }
uint8_t *buffer_room(struct buffer *b, size_t bytes);
void buffer_add(struct buffer *b, const void *bytes, size_t count);
void buffer_take(struct buffer *b, size_t count);
void buffer_free(struct buffer *b);
void add_u8(struct buffer *b, uint8_t value);
void add_u16(struct buffer *b, uint16_t value);
void add_u32(struct buffer *b, uint32_t value);
void add_u64(struct buffer *b, uint64_t value);
void add_text(struct buffer *b, const char *text);
void put_u32(uint8_t *at, uint32_t value);

/* After any read past the end `bad` is set and all reads give zero. */
struct reader {
  const uint8_t *at;
  size_t left;
  bool bad;
};

uint8_t read_u8(struct reader *r);
uint16_t read_u16(struct reader *r);
uint32_t read_u32(struct reader *r);
const uint8_t *read_bytes(struct reader *r, size_t count);
/* Copies a string of 1 to `most` bytes without NUL, and ends it with one. */
void read_text(struct reader *r, char *text, size_t most);

void *allocate(size_t bytes);

/* ---- agent.c: connections to the agents of spaces, shared by all forwards that touch one ---- */

struct agent;
struct forward;
struct link;
struct request;

/* Counts a user; `agent_release` takes it back, and the last one closes the connection. */
struct agent *agent_hold(const char *path, const uint8_t token[TOKEN_BYTES]);
void agent_release(struct agent *a);
const char *agent_path(const struct agent *a);
/* Asks for a listening socket; `forward_listens` is called once, never from within this. */
struct request *agent_listen(struct agent *a, struct forward *f, uint16_t port);
/* Asks for a connected socket; `link_connected` is called once, never from within this. */
struct request *agent_connect(struct agent *a, struct link *link, uint16_t port);
/* Nobody waits for the answer any more. */
void request_abandon(struct request *request);
/* The agent broke its word: its connection ends, and so do all forwards that touch it. */
void agent_blame(struct agent *a);
/* Someone names the agent anew, so it may be dialled again after it was blamed. */
void agent_forgive(struct agent *a);
/* Dials and asks for what was wanted since the last call; once at the end of each turn. */
void agents_work(void);
void agents_due(int64_t now);
int agent_count(void);

/* ---- forward.c ---- */

enum forward_state { FORWARD_OPENING = 1, FORWARD_LISTENING = 2, FORWARD_WAITING = 3 };

/* Who waits for an `open` to be answered. */
struct waiter {
  struct waiter *next;
  uint32_t control, request;
};

struct endpoint {
  bool guest;
  uint16_t port;
  char path[4096];
  uint8_t token[TOKEN_BYTES];
  char address[ADDRESS_BYTES]; /* of the host */
};

struct forward {
  void *garbage; /* for `free_later`, so that `next` stays good for whoever walks the list */
  struct forward *next;
  char id[MAX_ID_BYTES + 1];
  enum forward_state state;
  struct agent *source; /* NULL: the host listens */
  char address[ADDRESS_BYTES];
  uint16_t asked_port, port;
  struct agent *remote;
  uint16_t remote_port;
  struct source listeners[2];
  struct request *request;
  struct waiter *waiters;
  struct link *links;
  uint32_t link_count;
  uint64_t accepted, failed, bytes_out, bytes_in;
  int last_error;
  int64_t accept_again; /* 0: accepting */
};

extern struct forward *forwards;
/* Answers the waiter now or later, through `control_opened`. */
void forward_open(const char *id, const struct endpoint *source, const struct endpoint *remote,
                  uint32_t control, uint32_t request);
bool forward_close(const char *id);
int forwards_close_space(const char *path);
/* The answer to `agent_listen`; the descriptors become the forward's. */
void forward_listens(struct forward *f, const int *fds, int count, uint16_t port, int error);
/* The agent is gone, and with it the space's loopback. */
void forwards_agent_lost(struct agent *a, bool blamed);
void forwards_due(int64_t now);
/* How many are open or being opened, and how many descriptors all of them may hold. */
extern int forwards_active, forward_total;

/* ---- link.c: one accepted connection and its counterpart ---- */

extern int link_total;
void link_start(struct forward *f, int accepted);
/* The answer to `agent_connect`; the descriptor becomes the link's. */
void link_connected(struct link *link, int fd, int error);
void links_abort(struct forward *f);
void links_due(struct forward *f, int64_t now);

/* ---- control.c ---- */

void control_init(int listening);
/* Answers an `open`: `error` is 0, an errno or one of ours. */
void control_opened(const struct waiter *w, uint16_t port, int error);
void control_due(int64_t now);
int control_count(void);
/* After the socket is unlinked: whoever connected meanwhile sees an end and starts another relay. */
void control_leave(void);

/* ---- main.c ---- */

/* Looks whether there is still a reason to be; at the end of each turn. */
void idle_check(void);
void main_due(int64_t now);
/* May this many more descriptors be opened? */
bool descriptors_left(int count);
_Noreturn void leave(void);
_Noreturn void die(const char *text);

#endif
