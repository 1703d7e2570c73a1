/* The record of one process of the space; shared by spawn.c (its start), process.c (its
 * life) and stream.c (its bytes). */
#ifndef PROCESS_H
#define PROCESS_H

#include "guest.h"

#define STREAMS 2

struct process;

/* stdout (0) or stderr (1); a terminal has only stdout. */
struct stream {
  struct source source;
  struct process *process;
  struct ring ring;
  bool ended;       /* nobody can write any more; all is in the ring */
  bool end_known;   /* the main process has exited, and `end` is what was written before */
  uint64_t end;
};

struct attachment {
  struct connection *c; /* NULL: a free place */
  bool follow;
  bool done[STREAMS];
  uint64_t offset[STREAMS];
  uint32_t credit[STREAMS];
};

struct waiter {
  uint32_t serial, request;
  bool kill;
};

struct process {
  struct process *next;
  uint8_t id[ID_BYTES];
  pid_t pid, supervisor;
  struct source control;
  struct stream streams[STREAMS];
  struct source input; /* the writing end of stdin, or the terminal */
  struct buffer stdin_bytes;
  uint32_t stdin_owed; /* bytes written, for which credit was not given back yet */
  bool stdin_ending;
  bool stdin_end_queued; /* the terminal's character for the end is in `stdin_bytes` */
  struct connection *stdin_owner;
  int terminal; /* the terminal's master, for ioctl; -1 without one */
  bool detached;
  bool started;
  bool exit_told; /* EXIT was sent to those attached */
  bool gone;      /* no process of the tree is left */
  struct connection *owner; /* NULL where it went away or the process is detached */
  uint32_t spawn_serial, spawn_request;
  struct attachment attachments[MAX_ATTACHMENTS];
  struct waiter waiters[MAX_WAITERS];
  int waiter_count;
  enum exit_kind exit_kind;
  int exit_value;
  int64_t started_at, exited_at; /* wall clock, milliseconds */
  int64_t drain_until;           /* when the output of a terminal counts as complete; 0: no such wait */
  uint16_t argc;
  uint16_t summary_bytes;
  uint8_t summary[ARGV_SUMMARY_BYTES]; /* the first arguments, each with its length before it */
};

struct process *process_find(const uint8_t *id);
/* Looks what follows from what has changed; may free the process. */
void process_settle(struct process *p);
/* Takes a process that was started into the list, and listens to its supervisor. */
void process_add(struct process *p);
bool processes_full(void);
void answer_spawn_error(struct process *p, int fault, int error);

void stream_init(struct process *p, int index, int fd);
void streams_refresh(struct process *p);
void streams_pump(struct process *p);
void streams_main_exited(struct process *p);
void streams_tree_gone(struct process *p);
void streams_tell_exit(struct process *p);
void send_exit(struct process *p, struct connection *c);
bool streams_attached(const struct process *p);
struct attachment *stream_attach(struct process *p, struct connection *c);
void streams_detach(struct process *p, struct connection *c);
void streams_free(struct process *p);
void input_init(struct process *p, int fd);

#endif
