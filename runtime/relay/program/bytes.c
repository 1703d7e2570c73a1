/* Byte queues, and reading and writing of numbers and strings in them. Used by agent.c, control.c
 * and link.c. */
#include <stdlib.h>
#include <string.h>

#include "relay.h"

#define LEAST_BYTES 256

void *allocate(size_t bytes) {
  void *memory = calloc(1, bytes);
  if (memory == NULL) die("out of memory");
  return memory;
}

uint8_t *buffer_room(struct buffer *b, size_t bytes) {
  if (b->capacity - b->end >= bytes) return b->data + b->end;
  size_t used = buffer_used(b);
  if (b->start > 0) {
    memmove(b->data, b->data + b->start, used);
    b->start = 0;
    b->end = used;
  }
  if (b->capacity - used < bytes) {
    size_t capacity = b->capacity == 0 ? LEAST_BYTES : b->capacity;
    while (capacity - used < bytes) capacity *= 2;
    uint8_t *data = realloc(b->data, capacity);
    if (data == NULL) die("out of memory");
    b->data = data;
    b->capacity = capacity;
  }
  return b->data + b->end;
}

void buffer_add(struct buffer *b, const void *bytes, size_t count) {
  if (count == 0) return;
  memcpy(buffer_room(b, count), bytes, count);
  b->end += count;
}

/* Memory is kept only while there are bytes in it: most queues are empty most of the time. */
void buffer_take(struct buffer *b, size_t count) {
  b->start += count;
  if (b->start == b->end) buffer_free(b);
}

void buffer_free(struct buffer *b) {
  free(b->data);
  *b = (struct buffer){0};
}

static void put_number(uint8_t *at, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; i++) at[i] = (uint8_t)(value >> (8 * i));
}

static void add_number(struct buffer *b, uint64_t value, int bytes) {
  put_number(buffer_room(b, (size_t)bytes), value, bytes);
  b->end += (size_t)bytes;
}

void put_u32(uint8_t *at, uint32_t value) { put_number(at, value, 4); }
void add_u8(struct buffer *b, uint8_t value) { add_number(b, value, 1); }
void add_u16(struct buffer *b, uint16_t value) { add_number(b, value, 2); }
void add_u32(struct buffer *b, uint32_t value) { add_number(b, value, 4); }
void add_u64(struct buffer *b, uint64_t value) { add_number(b, value, 8); }

void add_text(struct buffer *b, const char *text) {
  size_t length = strlen(text);
  add_u16(b, (uint16_t)length);
  buffer_add(b, text, length);
}

const uint8_t *read_bytes(struct reader *r, size_t count) {
  if (r->bad || r->left < count) {
    r->bad = true;
    return NULL;
  }
  const uint8_t *at = r->at;
  r->at += count;
  r->left -= count;
  return at;
}

static uint32_t read_number(struct reader *r, int bytes) {
  const uint8_t *at = read_bytes(r, (size_t)bytes);
  uint32_t value = 0;
  for (int i = 0; at != NULL && i < bytes; i++) value |= (uint32_t)at[i] << (8 * i);
  return value;
}

uint8_t read_u8(struct reader *r) { return (uint8_t)read_number(r, 1); }
uint16_t read_u16(struct reader *r) { return (uint16_t)read_number(r, 2); }
uint32_t read_u32(struct reader *r) { return read_number(r, 4); }

void read_text(struct reader *r, char *text, size_t most) {
  size_t length = read_u16(r);
  const uint8_t *at = read_bytes(r, length);
  text[0] = '\0';
  if (at == NULL || length == 0 || length > most || memchr(at, 0, length) != NULL) {
    r->bad = true;
    return;
  }
  memcpy(text, at, length);
  text[length] = '\0';
}
