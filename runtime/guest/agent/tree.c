/*
 * Finds all descendants of a process in /proc and signals them. Used by supervisors, and by the
 * agent itself for what a killed supervisor left behind.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"

struct entry {
  pid_t pid, parent;
  char state;
  bool inside;
};

struct table {
  struct entry *entries;
  size_t count, capacity;
};

static bool table_add(struct table *t, struct entry entry) {
  if (t->count == t->capacity) {
    size_t capacity = t->capacity == 0 ? 256 : t->capacity * 2;
    struct entry *grown = realloc(t->entries, capacity * sizeof *grown);
    if (grown == NULL) return false;
    t->entries = grown;
    t->capacity = capacity;
  }
  t->entries[t->count++] = entry;
  return true;
}

/* The name in parentheses may hold anything, even ")": after the last one come state and parent. */
static bool read_stat(int proc, const char *name, struct entry *entry) {
  char path[32] = {0}, text[512];
  if (strlen(name) > 16) return false;
  strcat(strcat(path, name), "/stat");
  int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t bytes = read(fd, text, sizeof text - 1);
  close(fd);
  if (bytes <= 0) return false;
  text[bytes] = '\0';
  const char *behind = strrchr(text, ')');
  if (behind == NULL || strlen(behind) < 5) return false;
  entry->pid = (pid_t)atoi(name);
  entry->state = behind[2];
  entry->parent = (pid_t)atoi(behind + 4);
  entry->inside = false;
  return true;
}

/* A /proc of another pid namespace would have us signal strangers. */
static bool proc_is_ours(int proc) {
  char text[16];
  ssize_t bytes = readlinkat(proc, "self", text, sizeof text - 1);
  if (bytes <= 0) return false;
  text[bytes] = '\0';
  return atoi(text) == getpid();
}

static int compare_entries(const void *a, const void *b) {
  return ((const struct entry *)a)->pid - ((const struct entry *)b)->pid;
}

static bool read_table(struct table *t) {
  DIR *directory = opendir("/proc");
  if (directory == NULL) return false;
  bool usable = proc_is_ours(dirfd(directory));
  for (struct dirent *item; usable && (item = readdir(directory)) != NULL;) {
    struct entry entry;
    if (item->d_name[0] < '1' || item->d_name[0] > '9') continue;
    if (read_stat(dirfd(directory), item->d_name, &entry) && !table_add(t, entry)) break;
  }
  closedir(directory);
  if (usable) qsort(t->entries, t->count, sizeof *t->entries, compare_entries);
  return usable;
}

static bool is_inside(const struct table *t, pid_t pid) {
  struct entry key = {.pid = pid};
  const struct entry *found = bsearch(&key, t->entries, t->count, sizeof key, compare_entries);
  return found != NULL && found->inside;
}

static bool is_listed(pid_t pid, const pid_t *list, int count) {
  for (int i = 0; i < count; i++) {
    if (list[i] == pid) return true;
  }
  return false;
}

/* Children mostly have higher numbers than their parents, so few passes are needed. */
static void mark_descendants(struct table *t, const pid_t *excluded, int excluded_count) {
  pid_t self = getpid();
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t i = 0; i < t->count; i++) {
      struct entry *e = &t->entries[i];
      if (e->inside || !(e->parent == self || is_inside(t, e->parent))) continue;
      if (is_listed(e->pid, excluded, excluded_count)) continue;
      e->inside = changed = true;
    }
  }
}

int tree_signal(int signal_number, const pid_t *excluded, int excluded_count) {
  struct table t = {0};
  int active = 0;
  bool usable = read_table(&t);
  if (usable) mark_descendants(&t, excluded, excluded_count);
  for (size_t i = 0; usable && i < t.count; i++) {
    const struct entry *e = &t.entries[i];
    if (!e->inside) continue;
    bool dead = e->state == 'Z' || e->state == 'X';
    if (!dead && signal_number != 0) kill(e->pid, signal_number);
    /* Who waits in the kernel (D) sees the signal before it can fork again. */
    if (strchr("ZXTtD", e->state) == NULL) active++;
  }
  free(t.entries);
  return usable ? active : -1;
}
