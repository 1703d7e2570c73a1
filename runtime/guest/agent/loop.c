/* The epoll set around which the agent turns. Used by every other file of the agent. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

#define BATCH 128

static int epoll_fd = -1;
static struct epoll_event batch[BATCH];
static struct garbage {
  struct garbage *next;
} *garbage;

void loop_init(void) {
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0) die("epoll_create1");
}

void source_watch(struct source *source, uint32_t interest) {
  if (source->fd < 0 || (source->registered ? source->interest == interest : interest == 0)) return;
  struct epoll_event event = {.events = interest, .data.ptr = source};
  int operation = interest == 0 ? EPOLL_CTL_DEL : source->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  if (epoll_ctl(epoll_fd, operation, source->fd, &event) < 0) die("epoll_ctl");
  source->registered = interest != 0;
  source->interest = interest;
}

void source_close(struct source *source) {
  if (source->fd < 0) return;
  source_watch(source, 0);
  close(source->fd);
  source->fd = -1;
}

void free_later(void *memory) {
  struct garbage *piece = memory;
  piece->next = garbage;
  garbage = piece;
}

void loop_turn(int timeout_ms) {
  int count = epoll_wait(epoll_fd, batch, BATCH, timeout_ms);
  if (count < 0 && errno != EINTR) die("epoll_wait");
  for (int i = 0; i < count; i++) {
    struct source *source = batch[i].data.ptr;
    if (source->fd >= 0 && source->registered) source->ready(source, batch[i].events);
  }
  while (garbage != NULL) {
    struct garbage *next = garbage->next;
    free(garbage);
    garbage = next;
  }
}

static int64_t clock_ms(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

int64_t now_ms(void) { return clock_ms(CLOCK_MONOTONIC); }
int64_t wall_ms(void) { return clock_ms(CLOCK_REALTIME); }
