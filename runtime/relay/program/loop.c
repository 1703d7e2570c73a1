/* The epoll set around which the relay turns, and its one clock. Used by every other file. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "relay.h"

#define BATCH 128
/* A call on a socket that a space shares with us can be made to block: this ends it. */
#define STUCK_MS 100

static int epoll_fd = -1;
static struct epoll_event batch[BATCH];
static int64_t wake_at;
static struct garbage {
  struct garbage *next;
} *garbage;

void loop_init(void) {
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0) die("epoll_create1");
}

bool source_watch(struct source *source, uint32_t interest) {
  if (source->fd < 0 || source->interest == interest) return true;
  struct epoll_event event = {.events = interest, .data.ptr = source};
  int operation = interest == 0            ? EPOLL_CTL_DEL
                  : source->interest != 0 ? EPOLL_CTL_MOD
                                          : EPOLL_CTL_ADD;
  if (epoll_ctl(epoll_fd, operation, source->fd, &event) < 0) return false;
  source->interest = interest;
  return true;
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

int64_t now_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

void loop_wake_at(int64_t at) {
  if (at != 0 && (wake_at == 0 || at < wake_at)) wake_at = at;
}

static int timeout(void) {
  if (wake_at == 0) return -1;
  int64_t left = wake_at - now_ms();
  return left <= 0 ? 0 : left > 60000 ? 60000 : (int)left;
}

/* While events are handled, a call that blocks is interrupted. */
static void guard(long ms) {
  struct timeval time = {.tv_usec = ms * 1000};
  struct itimerval timer = {.it_interval = time, .it_value = time};
  setitimer(ITIMER_REAL, &timer, NULL);
}

void loop_turn(void) {
  int count = epoll_wait(epoll_fd, batch, BATCH, timeout());
  if (count < 0 && errno != EINTR) die("epoll_wait");
  guard(STUCK_MS);
  for (int i = 0; i < count; i++) {
    struct source *source = batch[i].data.ptr;
    if (source->fd >= 0 && source->interest != 0) source->ready(source, batch[i].events);
  }
  int64_t now = now_ms();
  if (wake_at != 0 && now >= wake_at) {
    /* Each part names its next deadline again. */
    wake_at = 0;
    agents_due(now);
    forwards_due(now);
    control_due(now);
    main_due(now);
  }
  agents_work();
  guard(0);
  while (garbage != NULL) {
    struct garbage *next = garbage->next;
    free(garbage);
    garbage = next;
  }
  idle_check();
}
