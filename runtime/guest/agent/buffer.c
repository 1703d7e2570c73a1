/* Byte queues, output rings, and the reading and writing of numbers in frames. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>

#include "guest.h"

#define FIRST_BYTES (16 * 1024)
/* No queue may come near this: input, output and stdin are all held back far below. */
#define MOST_BYTES (64 * 1024 * 1024)

size_t ring_bytes_total;

/* Supervisors are forks that live long: pages they shared would be kept twice once we write. */
static uint8_t *pages_allocate(size_t bytes) {
  void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) return NULL;
  madvise(pages, bytes, MADV_DONTFORK);
  return pages;
}

static void buffer_grow(struct buffer *b, size_t bytes) {
  size_t used = buffer_used(b), capacity = b->capacity == 0 ? FIRST_BYTES : b->capacity;
  while (capacity - used < bytes) {
    if (capacity >= MOST_BYTES) die("a queue is too long");
    capacity *= 2;
  }
  uint8_t *data = pages_allocate(capacity);
  if (data == NULL) die("out of memory");
  if (used > 0) memcpy(data, b->data + b->start, used);
  buffer_free(b);
  *b = (struct buffer){.data = data, .end = used, .capacity = capacity};
}

uint8_t *buffer_room(struct buffer *b, size_t bytes) {
  if (b->capacity - b->end >= bytes) return b->data + b->end;
  size_t used = buffer_used(b);
  /* Moving is worth it only where it frees at least as much as it copies. */
  if (b->capacity - used >= bytes && b->start >= used) {
    if (used > 0) memmove(b->data, b->data + b->start, used);
    b->start = 0;
    b->end = used;
  } else {
    buffer_grow(b, bytes);
  }
  return b->data + b->end;
}

void buffer_add(struct buffer *b, const void *bytes, size_t count) {
  if (count == 0) return;
  memcpy(buffer_room(b, count), bytes, count);
  b->end += count;
}

void buffer_take(struct buffer *b, size_t count) {
  b->start += count;
  if (b->start == b->end) b->start = b->end = 0;
}

void buffer_free(struct buffer *b) {
  if (b->data != NULL) munmap(b->data, b->capacity);
  *b = (struct buffer){0};
}

bool ring_allocate(struct ring *r) {
  if (r->data != NULL) return true;
  size_t bytes = ring_bytes_total + RING_BYTES <= RING_BUDGET_BYTES ? RING_BYTES : SMALL_RING_BYTES;
  r->data = pages_allocate(bytes);
  if (r->data == NULL) return false;
  r->capacity = bytes;
  ring_bytes_total += bytes;
  return true;
}

void ring_free(struct ring *r) {
  if (r->data == NULL) return;
  munmap(r->data, r->capacity);
  ring_bytes_total -= r->capacity;
  r->data = NULL;
  r->capacity = 0;
  r->start = r->head;
}

uint8_t *ring_space(struct ring *r, size_t *bytes) {
  size_t at = r->head % r->capacity;
  size_t whole = r->capacity - at;
  if (*bytes > whole) *bytes = whole;
  return r->data + at;
}

void ring_commit(struct ring *r, size_t bytes) {
  r->head += bytes;
  if (r->head - r->start > r->capacity) r->start = r->head - r->capacity;
}

const uint8_t *ring_at(const struct ring *r, uint64_t offset, size_t *bytes) {
  size_t at = offset % r->capacity, whole = r->capacity - at;
  uint64_t there = r->head - offset;
  if (*bytes > whole) *bytes = whole;
  if (*bytes > there) *bytes = (size_t)there;
  return r->data + at;
}

const uint8_t *read_bytes(struct reader *r, size_t count) {
  if (r->bad || count > r->left) {
    r->bad = true;
    return NULL;
  }
  const uint8_t *at = r->at;
  r->at += count;
  r->left -= count;
  return at;
}

static uint64_t read_number(struct reader *r, size_t bytes) {
  const uint8_t *at = read_bytes(r, bytes);
  uint64_t value = 0;
  if (at == NULL) return 0;
  for (size_t i = bytes; i > 0; i--) value = value << 8 | at[i - 1];
  return value;
}

uint8_t read_u8(struct reader *r) { return (uint8_t)read_number(r, 1); }
uint16_t read_u16(struct reader *r) { return (uint16_t)read_number(r, 2); }
uint32_t read_u32(struct reader *r) { return (uint32_t)read_number(r, 4); }
uint64_t read_u64(struct reader *r) { return read_number(r, 8); }

static void put_number(uint8_t *at, uint64_t value, size_t bytes) {
  for (size_t i = 0; i < bytes; i++) at[i] = (uint8_t)(value >> (8 * i));
}

void put_u16(uint8_t *at, uint16_t value) { put_number(at, value, 2); }
void put_u32(uint8_t *at, uint32_t value) { put_number(at, value, 4); }
void put_u64(uint8_t *at, uint64_t value) { put_number(at, value, 8); }

uint32_t get_u32(const uint8_t *at) {
  struct reader r = {.at = at, .left = 4};
  return read_u32(&r);
}
