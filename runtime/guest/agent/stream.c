/*
 * The bytes of a process: output from pipe to ring to those attached, and standard input. A reader
 * that is attached but slow holds the process back; where nobody is attached, the oldest bytes go.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "process.h"

#define CREDIT_STEP (64 * 1024)

/* ---- output ---- */

/* How much may be read from the process: what an attached reader still needs is not overwritten. */
static size_t readable_room(const struct process *p, int index) {
  const struct ring *r = &p->streams[index].ring;
  size_t capacity = r->data == NULL ? SMALL_RING_BYTES : r->capacity, room = capacity;
  for (int i = 0; i < MAX_ATTACHMENTS; i++) {
    const struct attachment *a = &p->attachments[i];
    if (a->c == NULL || a->done[index]) continue;
    size_t waiting = (size_t)(r->head - a->offset[index]);
    if (capacity - waiting < room) room = capacity - waiting;
  }
  return room;
}

static void send_output(struct process *p, int index, struct attachment *a) {
  const struct ring *r = &p->streams[index].ring;
  size_t bytes = a->credit[index] < CHUNK_BYTES ? a->credit[index] : CHUNK_BYTES;
  const uint8_t *from = ring_at(r, a->offset[index], &bytes);
  struct frame f = frame_begin(a->c, A_OUTPUT);
  frame_bytes(&f, p->id, ID_BYTES);
  frame_u8(&f, (uint8_t)index);
  frame_u64(&f, a->offset[index]);
  frame_bytes(&f, from, bytes);
  frame_end(&f);
  a->offset[index] += bytes;
  a->credit[index] -= (uint32_t)bytes;
}

static void send_stream_end(struct process *p, int index, struct attachment *a) {
  struct frame f = frame_begin(a->c, A_STREAM_END);
  frame_bytes(&f, p->id, ID_BYTES);
  frame_u8(&f, (uint8_t)index);
  frame_u64(&f, a->offset[index]);
  frame_end(&f);
  a->done[index] = true;
}

/* Where this reader's stream is over, or UINT64_MAX where that is not known yet. */
static uint64_t end_for(const struct stream *s, const struct attachment *a) {
  if (s->ended) return s->end_known && !a->follow ? s->end : s->ring.head;
  return s->end_known && !a->follow ? s->end : UINT64_MAX;
}

void send_exit(struct process *p, struct connection *c) {
  struct frame f = frame_begin(c, A_EXIT);
  frame_bytes(&f, p->id, ID_BYTES);
  frame_u8(&f, (uint8_t)p->exit_kind);
  frame_u32(&f, (uint32_t)p->exit_value);
  frame_end(&f);
}

static void pump_stream(struct process *p, int index, struct attachment *a) {
  struct stream *s = &p->streams[index];
  uint64_t end = end_for(s, a);
  if (a->done[index]) return;
  while (a->offset[index] < s->ring.head && a->offset[index] < end && a->credit[index] > 0) {
    if (!connection_has_room(a->c)) {
      a->c->starved = true;
      return;
    }
    send_output(p, index, a);
  }
  if (a->offset[index] >= end) send_stream_end(p, index, a);
}

void streams_pump(struct process *p) {
  for (int i = 0; i < MAX_ATTACHMENTS; i++) {
    struct attachment *a = &p->attachments[i];
    for (int index = 0; index < STREAMS && a->c != NULL; index++) pump_stream(p, index, a);
    if (a->c != NULL && p->exit_told && a->done[0] && a->done[1]) a->c = NULL;
  }
}

/* Most processes write nothing to one of their streams: that costs no ring. */
static ssize_t read_first(struct stream *s) {
  static uint8_t first[SMALL_RING_BYTES];
  ssize_t count = read(s->source.fd, first, sizeof first);
  if (count <= 0) return count;
  if (!ring_allocate(&s->ring)) die("out of memory");
  size_t bytes = (size_t)count;
  memcpy(ring_space(&s->ring, &bytes), first, bytes);
  ring_commit(&s->ring, bytes);
  return count;
}

static ssize_t read_more(struct stream *s, size_t room) {
  size_t bytes = room < CHUNK_BYTES ? room : CHUNK_BYTES;
  uint8_t *to = ring_space(&s->ring, &bytes);
  ssize_t count = read(s->source.fd, to, bytes);
  if (count > 0) ring_commit(&s->ring, (size_t)count);
  return count;
}

/* One read into the ring; false when there is nothing more for now. */
static bool read_stream(struct process *p, int index) {
  struct stream *s = &p->streams[index];
  size_t room = readable_room(p, index);
  if (s->source.fd < 0 || room == 0) return false;
  ssize_t count = s->ring.data == NULL ? read_first(s) : read_more(s, room);
  if (count > 0) return true;
  /* A pipe whose tree is gone may still be held by a stranger it was passed to: not for us. */
  bool waiting = count < 0 && (errno == EAGAIN || errno == EINTR);
  if (waiting && !p->gone) return false;
  /* The end; a terminal says EIO once nobody holds its other side. */
  source_close(&s->source);
  s->ended = true;
  return false;
}

void streams_refresh(struct process *p) {
  for (int index = 0; index < STREAMS; index++) {
    struct stream *s = &p->streams[index];
    source_watch(&s->source, readable_room(p, index) > 0 ? EPOLLIN : 0);
  }
}

static void stream_ready(struct source *source, uint32_t events) {
  struct stream *s = container(source, struct stream, source);
  struct process *p = s->process;
  (void)events;
  read_stream(p, s == &p->streams[0] ? 0 : 1);
  streams_pump(p);
  process_settle(p);
}

void stream_init(struct process *p, int index, int fd) {
  struct stream *s = &p->streams[index];
  s->source = (struct source){.fd = fd, .ready = stream_ready};
  s->process = p;
  s->ended = fd < 0;
  if (fd < 0) return;
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  source_watch(&s->source, EPOLLIN);
}

/* Reads as long as there is something and room; what is delivered at once makes new room. */
static void drain_stream(struct process *p, int index) {
  for (int turn = 0; turn < 64 && read_stream(p, index); turn++) streams_pump(p);
  /* Where the end was found, that is news too. */
  streams_pump(p);
}

/* What was written before the exit lies in the pipe now, and is counted before more can follow. */
void streams_main_exited(struct process *p) {
  for (int index = 0; index < STREAMS; index++) {
    struct stream *s = &p->streams[index];
    int waiting = 0;
    /* A terminal passes its bytes on late: its end is its hang-up, or a short wait. */
    if (p->terminal >= 0) continue;
    if (s->source.fd >= 0) ioctl(s->source.fd, FIONREAD, &waiting);
    s->end = s->ring.head + (uint64_t)(waiting > 0 ? waiting : 0);
    s->end_known = true;
    drain_stream(p, index);
  }
  if (p->terminal >= 0) {
    p->drain_until = now_ms() + DRAIN_MS;
    drain_stream(p, 0);
  }
}

/* No writer is left: what a pipe holds is the end of it. */
void streams_tree_gone(struct process *p) {
  for (int index = 0; index < STREAMS; index++) drain_stream(p, index);
}

void streams_tell_exit(struct process *p) {
  for (int index = 0; index < STREAMS; index++) {
    struct stream *s = &p->streams[index];
    if (s->end_known) continue;
    s->end = s->ring.head;
    s->end_known = true;
  }
  /* Output that can be delivered goes before the news of the exit. */
  streams_pump(p);
  for (int i = 0; i < MAX_ATTACHMENTS; i++) {
    if (p->attachments[i].c != NULL) send_exit(p, p->attachments[i].c);
  }
  p->exit_told = true;
  streams_pump(p);
}

bool streams_attached(const struct process *p) {
  for (int i = 0; i < MAX_ATTACHMENTS; i++) {
    if (p->attachments[i].c != NULL) return true;
  }
  return false;
}

struct attachment *stream_attach(struct process *p, struct connection *c) {
  for (int i = 0; i < MAX_ATTACHMENTS; i++) {
    struct attachment *a = &p->attachments[i];
    if (a->c != NULL) continue;
    *a = (struct attachment){.c = c};
    return a;
  }
  return NULL;
}

void streams_detach(struct process *p, struct connection *c) {
  for (int i = 0; i < MAX_ATTACHMENTS; i++) {
    if (p->attachments[i].c == c) p->attachments[i].c = NULL;
  }
  if (p->stdin_owner == c) p->stdin_owner = NULL;
}

void streams_free(struct process *p) {
  for (int index = 0; index < STREAMS; index++) {
    source_close(&p->streams[index].source);
    ring_free(&p->streams[index].ring);
  }
  source_close(&p->input);
  buffer_free(&p->stdin_bytes);
}

void process_credit(struct connection *c, struct reader *r) {
  const uint8_t *id = read_bytes(r, ID_BYTES);
  uint8_t index = read_u8(r);
  uint32_t bytes = read_u32(r);
  if (r->bad || index >= STREAMS) {
    r->bad = true;
    return;
  }
  struct process *p = process_find(id);
  for (int i = 0; p != NULL && i < MAX_ATTACHMENTS; i++) {
    struct attachment *a = &p->attachments[i];
    if (a->c != c) continue;
    if (bytes > MAX_CREDIT - a->credit[index]) bytes = MAX_CREDIT - a->credit[index];
    a->credit[index] += bytes;
    streams_pump(p);
    process_settle(p);
    return;
  }
}

/* ---- standard input ---- */

static void give_stdin_credit(struct process *p, bool all) {
  if (p->stdin_owed == 0 || (!all && p->stdin_owed < CREDIT_STEP)) return;
  if (p->stdin_owner != NULL) {
    struct frame f = frame_begin(p->stdin_owner, A_STDIN_CREDIT);
    frame_bytes(&f, p->id, ID_BYTES);
    frame_u32(&f, p->stdin_owed);
    frame_end(&f);
  }
  p->stdin_owed = 0;
}

/* The process reads no more: the host may stop writing. */
static void stdin_closed(struct process *p) {
  source_close(&p->input);
  buffer_free(&p->stdin_bytes);
  if (p->stdin_owner == NULL) return;
  struct frame f = frame_begin(p->stdin_owner, A_STDIN_CLOSED);
  frame_bytes(&f, p->id, ID_BYTES);
  frame_end(&f);
}

/* A terminal is not closed, it is told the end of the file by its own character for that. */
static void end_stdin(struct process *p) {
  p->stdin_ending = false;
  if (p->terminal < 0) {
    source_close(&p->input);
    return;
  }
  struct termios settings;
  cc_t end = 4;
  if (tcgetattr(p->terminal, &settings) == 0) end = settings.c_cc[VEOF];
  buffer_add(&p->stdin_bytes, &end, 1);
  p->stdin_end_queued = true;
}

static void write_stdin(struct process *p) {
  struct buffer *b = &p->stdin_bytes;
  while (p->input.fd >= 0 && buffer_used(b) > 0) {
    ssize_t count = write(p->input.fd, b->data + b->start, buffer_used(b));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) break;
    if (count < 0) {
      stdin_closed(p);
      return;
    }
    buffer_take(b, (size_t)count);
    p->stdin_owed += (uint32_t)count;
    if (buffer_used(b) == 0 && p->stdin_end_queued) {
      /* The last byte was ours, not the host's. */
      p->stdin_end_queued = false;
      p->stdin_owed--;
    }
    if (buffer_used(b) == 0 && p->stdin_ending) end_stdin(p);
  }
  give_stdin_credit(p, buffer_used(b) == 0);
  if (p->input.fd >= 0) source_watch(&p->input, buffer_used(b) > 0 ? EPOLLOUT : 0);
}

static void input_ready(struct source *source, uint32_t events) {
  (void)events;
  write_stdin(container(source, struct process, input));
}

void input_init(struct process *p, int fd) {
  p->input = (struct source){.fd = fd, .ready = input_ready};
  if (fd >= 0) fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

void process_stdin(struct connection *c, struct reader *r) {
  const uint8_t *id = read_bytes(r, ID_BYTES);
  if (r->bad) return;
  struct process *p = process_find(id);
  /* The process may have ended, or another host taken over, while this was on its way. */
  if (p == NULL || p->stdin_owner != c || p->input.fd < 0) return;
  if (r->left > WINDOW_BYTES - buffer_used(&p->stdin_bytes) || p->stdin_ending) {
    connection_fail(c, "more stdin than was granted");
    return;
  }
  buffer_add(&p->stdin_bytes, r->at, r->left);
  write_stdin(p);
}

void process_close_stdin(struct connection *c, struct reader *r) {
  const uint8_t *id = read_bytes(r, ID_BYTES);
  if (r->bad) return;
  struct process *p = process_find(id);
  if (p == NULL || p->stdin_owner != c || p->input.fd < 0) return;
  if (buffer_used(&p->stdin_bytes) > 0) {
    p->stdin_ending = true;
    return;
  }
  end_stdin(p);
  write_stdin(p);
}
