/*
 * Empties a directory, whoever its files belong to: the host runs this as the space's root to remove
 * what the host's own user may not. It goes down by descriptors and follows no link.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"

static bool is_dot(const char *name) { return strcmp(name, ".") == 0 || strcmp(name, "..") == 0; }

/* Removes what can be removed of the directory `fd`. Gives the first directory in it that is not
 * empty, opened, or -1 when nothing is left. */
static int clear(int fd) {
  int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *directory = copy < 0 ? NULL : fdopendir(copy);
  if (directory == NULL) die("a directory cannot be read");
  int deeper = -1;
  for (struct dirent *entry; deeper < 0 && (entry = readdir(directory)) != NULL;) {
    const char *name = entry->d_name;
    if (is_dot(name) || unlinkat(fd, name, 0) == 0 || errno == ENOENT) continue;
    if (unlinkat(fd, name, AT_REMOVEDIR) == 0) continue;
    if (errno != ENOTEMPTY && errno != EEXIST) die(name);
    deeper = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (deeper < 0) die(name);
  }
  closedir(directory);
  return deeper;
}

/* One descriptor serves any depth: from an emptied directory the way leads up by `..`, which nobody
 * can bend, for nothing runs in the space any more. */
void empty_directory(const char *path) {
  int at = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (at < 0) die(path);
  for (long depth = 0;;) {
    int next = clear(at);
    if (next < 0 && depth == 0) break;
    depth += next < 0 ? -1 : 1;
    if (next < 0) next = openat(at, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (next < 0) die("..");
    close(at);
    at = next;
  }
  close(at);
}
