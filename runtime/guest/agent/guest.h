/*
 * What the files of the guest agent share. The agent is one thread around one epoll set; every
 * object that owns file descriptors embeds a `struct source` for each. protocol.md describes the
 * frames.
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PROTOCOL_VERSION 1
#define AGENT_VERSION 1

/* Handshake: MAGIC, token, nonce, version, lease; answered by ANSWER, nonce, version, … */
#define MAGIC_BYTES 16
#define TOKEN_BYTES 32
#define NONCE_BYTES 16
#define HELLO_BYTES (MAGIC_BYTES + TOKEN_BYTES + NONCE_BYTES + 4)
#define ID_BYTES 16

/* Limits; protocol.md lists them. */
#define HEADER_BYTES 5
#define MAX_SPAWN_BYTES (2304 * 1024)
#define MAX_FRAME_BYTES (256 * 1024 + 64)
#define CHUNK_BYTES (64 * 1024)
#define WINDOW_BYTES (256 * 1024)
#define OUTPUT_HIGH_BYTES (256 * 1024)
#define MAX_CREDIT (1u << 30)
#define RING_BYTES (256 * 1024)
#define SMALL_RING_BYTES (16 * 1024)
#define RING_BUDGET_BYTES (64 * 1024 * 1024)
#define KEPT_RING_BYTES (8 * 1024 * 1024)
#define MAX_PROCESSES 1024
#define MAX_KEPT 64
#define MAX_ATTACHMENTS 8
#define MAX_WAITERS 16
#define MAX_CONNECTIONS 256
#define MAX_STRANGERS 64
#define MAX_CHANNELS 8192
#define MAX_LISTENERS 256
#define MAX_HANDOVERS 16
#define MAX_ARGS 65536
#define ARGV_SUMMARY_BYTES 1024
#define HELLO_MS 3000
#define DRAIN_MS 50
#define KILL_MS 5000
#define MAX_KILL_MS 60000

enum frame_type {
  F_PING = 0x01,
  F_SPAWN = 0x02,
  F_ATTACH = 0x03,
  F_DETACH = 0x04,
  F_CREDIT = 0x05,
  F_STDIN = 0x06,
  F_CLOSE_STDIN = 0x07,
  F_SIGNAL = 0x08,
  F_KILL = 0x09,
  F_RESIZE = 0x0a,
  F_LIST = 0x0b,
  F_RELEASE = 0x0c,
  F_CONNECT = 0x10,
  F_LISTEN = 0x11,
  F_UNLISTEN = 0x12,
  F_DATA = 0x13,
  F_CHANNEL_CREDIT = 0x14,
  F_EOF = 0x15,
  F_RESET = 0x16,
  F_LISTEN_FD = 0x17,
  F_CONNECT_FD = 0x18,
  F_BYE = 0x1e,
  F_SHUTDOWN = 0x1f,

  A_PONG = 0x81,
  A_SPAWNED = 0x82,
  A_SPAWN_ERROR = 0x83,
  A_ATTACHED = 0x84,
  A_OUTPUT = 0x85,
  A_STREAM_END = 0x86,
  A_EXIT = 0x87,
  A_GONE = 0x88,
  A_STDIN_CREDIT = 0x89,
  A_STDIN_CLOSED = 0x8a,
  A_OK = 0x8b,
  A_ERROR = 0x8c,
  A_KILLED = 0x8d,
  A_PROCESS = 0x8e,
  A_LIST_END = 0x8f,
  A_CONNECTED = 0x90,
  A_NET_ERROR = 0x91,
  A_LISTENING = 0x92,
  A_ACCEPTED = 0x93,
  A_DATA = 0x94,
  A_CHANNEL_CREDIT = 0x95,
  A_EOF = 0x96,
  A_RESET = 0x97,
  A_FDS = 0x98,
  A_PROTOCOL_ERROR = 0x9f,
};

enum spawn_flag {
  SPAWN_DETACHED = 1,
  SPAWN_STDIN = 2,
  SPAWN_PTY = 4,
  SPAWN_USER = 8,
  SPAWN_UNATTACHED = 16,
};

enum attach_flag { ATTACH_STDIN = 1, ATTACH_FOLLOW = 2 };

/* What was at fault when a process could not be started. */
enum fault { FAULT_CWD = 1, FAULT_PROGRAM = 2, FAULT_INTERPRETER = 3, FAULT_USER = 4, FAULT_AGENT = 5 };

enum exit_kind { EXIT_NONE = 0, EXIT_CODE = 1, EXIT_SIGNAL = 2, EXIT_LOST = 3 };

/* ---- loop.c: the epoll set, time, and memory that must outlive the current batch ---- */

struct source {
  int fd;
  uint32_t interest;
  bool registered;
  void (*ready)(struct source *source, uint32_t events);
};

#define container(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

void loop_init(void);
/* Waits at most `timeout_ms` (-1: for ever) and handles what is ready. */
void loop_turn(int timeout_ms);
/* `interest` 0 takes the source out of the set; a closed end would otherwise wake us for ever. */
void source_watch(struct source *source, uint32_t interest);
void source_close(struct source *source);
/* Frees after the current batch of events, which may still point at it. The memory's first member
 * must be its list pointer: that is reused, so that this can never fail. */
void free_later(void *memory);
int64_t now_ms(void);
int64_t wall_ms(void);

/* ---- buffer.c: byte queues, rings and the reading and writing of frames ---- */

/* A queue of bytes in pages that forked children do not share. */
struct buffer {
  uint8_t *data;
  size_t start, end, capacity;
};

static inline size_t buffer_used(const struct buffer *b) { return b->end - b->start; }
uint8_t *buffer_room(struct buffer *b, size_t bytes);
void buffer_add(struct buffer *b, const void *bytes, size_t count);
void buffer_take(struct buffer *b, size_t count);
void buffer_free(struct buffer *b);

/* The last bytes of a stream, addressed by their absolute offset. */
struct ring {
  uint8_t *data;
  size_t capacity;
  uint64_t head;  /* offset behind the last byte */
  uint64_t start; /* offset of the oldest byte that is kept */
};

extern size_t ring_bytes_total;
bool ring_allocate(struct ring *r);
void ring_free(struct ring *r);
/* The longest piece that can be written at once; drops what is in its way once committed. */
uint8_t *ring_space(struct ring *r, size_t *bytes);
void ring_commit(struct ring *r, size_t bytes);
const uint8_t *ring_at(const struct ring *r, uint64_t offset, size_t *bytes);

/* Reads a frame's payload; after any read past the end `bad` is set and all reads give zero. */
struct reader {
  const uint8_t *at;
  size_t left;
  bool bad;
};

uint8_t read_u8(struct reader *r);
uint16_t read_u16(struct reader *r);
uint32_t read_u32(struct reader *r);
uint64_t read_u64(struct reader *r);
const uint8_t *read_bytes(struct reader *r, size_t count);

void put_u16(uint8_t *at, uint16_t value);
void put_u32(uint8_t *at, uint32_t value);
void put_u64(uint8_t *at, uint64_t value);
uint32_t get_u32(const uint8_t *at);

/* ---- connection.c: host connections ---- */

struct channel;
struct listener;

struct handover {
  uint64_t at; /* stream position of the frame that carries the descriptors */
  uint32_t frame_bytes;
  int fds[2];
  int count;
};

/* Finds a new HELLO in the middle of a byte stream; used where a host may come and go unseen. */
struct watcher {
  bool enabled;
  size_t matched;
  uint8_t held[HELLO_BYTES];
};

#define CHANNEL_BUCKETS 512

struct connection {
  struct connection *next;
  struct source in;
  struct source out; /* only where input and output are two descriptors */
  bool split;
  bool passes_fds;
  bool authenticated;
  bool closed;
  bool closing; /* close once everything is written */
  bool leaving; /* the host has said goodbye */
  bool starved; /* something waits for room in `output` */
  bool dirty;
  int64_t deadline;
  int64_t lease_ms; /* how long the host may be silent; 0: for ever */
  int64_t heard_at;
  uint32_t serial;
  struct buffer input;
  struct buffer output;
  uint64_t written;
  struct watcher watcher;
  struct handover handovers[MAX_HANDOVERS];
  int handover_count;
  struct channel *channels[CHANNEL_BUCKETS];
  struct listener *listeners;
  uint32_t channel_count, listener_count, next_accepted;
};

extern struct connection *connections;
bool connections_serve(const char *path);
void connections_stdio(void);
void connections_set_token(const uint8_t token[TOKEN_BYTES]);
/* Writes what there is to write; false when there was nothing. */
bool connections_flush(void);
int64_t connections_deadline(int64_t now);
struct connection *connection_by_serial(uint32_t serial);
void connection_close(struct connection *c);
/* Tells the host what it did wrong, and closes. */
void connection_fail(struct connection *c, const char *text);
static inline bool connection_has_room(const struct connection *c) {
  return !c->closed && !c->closing && buffer_used(&c->output) < OUTPUT_HIGH_BYTES;
}

/* A frame under construction at the end of `output`; fields are appended, then `frame_end`. */
struct frame {
  struct connection *c;
  size_t header;
};
struct frame frame_begin(struct connection *c, uint8_t type);
void frame_u8(struct frame *f, uint8_t value);
void frame_u16(struct frame *f, uint16_t value);
void frame_u32(struct frame *f, uint32_t value);
void frame_u64(struct frame *f, uint64_t value);
void frame_bytes(struct frame *f, const void *bytes, size_t count);
size_t frame_end(struct frame *f);
void send_ok(struct connection *c, uint32_t request);
void send_error(struct connection *c, uint32_t request, int error);

/* ---- process.c: the processes of the space, seen from the agent ---- */

void process_spawn(struct connection *c, struct reader *r);
void process_attach(struct connection *c, struct reader *r);
void process_detach(struct connection *c, struct reader *r);
void process_credit(struct connection *c, struct reader *r);
void process_stdin(struct connection *c, struct reader *r);
void process_close_stdin(struct connection *c, struct reader *r);
void process_signal(struct connection *c, struct reader *r);
void process_kill(struct connection *c, struct reader *r);
void process_resize(struct connection *c, struct reader *r);
void process_list(struct connection *c, struct reader *r);
void process_release(struct connection *c, struct reader *r);
/* The connection is going: its attachments end, and what is not detached is killed. */
void processes_drop_connection(struct connection *c);
void processes_pump(struct connection *c);
int64_t processes_deadline(int64_t now);
void processes_terminate(void);
void processes_kill(void);
bool processes_all_gone(void);
void processes_reap(void);

/* ---- supervisor.c, exec.c, tree.c: what runs in the forked children ---- */

struct spawn_plan {
  char **argv;
  char **envp;
  char *cwd;
  char *block; /* memory of all strings */
  int stdio[3];
  bool pty;
  bool set_user;
  uid_t uid;
  gid_t gid;
};

enum supervisor_message_type {
  M_STARTED = 1, /* a: pid */
  M_FAILED,      /* a: fault, b: errno */
  M_EXITED,      /* a: exit kind, b: value */
  M_SIGNALLED,   /* a: errno */
  M_KILLED,      /* a: how many are left */
  M_GONE,
  M_SIGNAL, /* a: signal, b: process group, or 0 for that of the main process */
  M_KILL,   /* a: milliseconds */
  M_TERMINATE,
};

struct supervisor_message {
  uint32_t type;
  int32_t a, b;
  uint32_t serial, request;
};

/* Forks the supervisor; gives its pid, or -1 with errno. `control` is its end of the socket pair. */
pid_t supervisor_start(struct spawn_plan *plan, int control);
/* Replaces this process by the program; on failure writes fault and errno to `report`. */
_Noreturn void exec_program(const struct spawn_plan *plan, int report);
void close_all_except(int *keep, int count);

/* Sends `signal_number` to all descendants of this process (0: counts only), except `excluded` and
 * theirs. Gives the number that were signalled and had not stopped yet, or -1 without a usable /proc. */
int tree_signal(int signal_number, const pid_t *excluded, int excluded_count);

extern uint64_t original_nofile[2];

/* ---- network.c: the space's loopback ---- */

void network_up(void);
void network_connect(struct connection *c, struct reader *r);
void network_listen(struct connection *c, struct reader *r);
void network_unlisten(struct connection *c, struct reader *r);
void network_data(struct connection *c, struct reader *r);
void network_credit(struct connection *c, struct reader *r);
void network_eof(struct connection *c, struct reader *r);
void network_reset(struct connection *c, struct reader *r);
void network_listen_fd(struct connection *c, struct reader *r);
void network_connect_fd(struct connection *c, struct reader *r);
void network_drop_connection(struct connection *c);
void network_pump(struct connection *c);
int64_t network_deadline(int64_t now);

/* ---- empty.c ---- */

/* Removes everything in a directory; ends the program when that cannot be. */
void empty_directory(const char *path);

/* ---- main.c ---- */

void shutdown_begin(int grace_ms);
_Noreturn void die(const char *text);

#endif
