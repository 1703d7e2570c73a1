/* Looks at what an agent handed over before anything is done with it. Used by agent.c. */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "socket-check.h"

static int option(int fd, int name) {
  int value = -1;
  socklen_t bytes = sizeof value;
  return getsockopt(fd, SOL_SOCKET, name, &value, &bytes) == 0 ? value : -1;
}

static bool is_tcp(int fd) {
  struct stat found;
  if (fstat(fd, &found) < 0 || !S_ISSOCK(found.st_mode)) return false;
  int domain = option(fd, SO_DOMAIN);
  return (domain == AF_INET || domain == AF_INET6) && option(fd, SO_TYPE) == SOCK_STREAM &&
         option(fd, SO_PROTOCOL) == IPPROTO_TCP;
}

static bool is_loopback(const struct sockaddr_storage *address, uint16_t port) {
  if (address->ss_family == AF_INET) {
    const struct sockaddr_in *in = (const struct sockaddr_in *)address;
    return in->sin_addr.s_addr == htonl(INADDR_LOOPBACK) && ntohs(in->sin_port) == port;
  }
  const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
  return address->ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr) &&
         ntohs(in6->sin6_port) == port;
}

bool is_listening_on_loopback(int fd, uint16_t port) {
  struct sockaddr_storage address = {0};
  socklen_t bytes = sizeof address;
  return is_tcp(fd) && option(fd, SO_ACCEPTCONN) == 1 &&
         getsockname(fd, (struct sockaddr *)&address, &bytes) == 0 && is_loopback(&address, port);
}

bool is_connected_to_loopback(int fd, uint16_t port, int *error) {
  struct sockaddr_storage address = {0};
  socklen_t bytes = sizeof address;
  if (!is_tcp(fd) || option(fd, SO_ACCEPTCONN) != 0) return false;
  if (getpeername(fd, (struct sockaddr *)&address, &bytes) == 0) return is_loopback(&address, port);
  *error = ECONNRESET;
  return errno == ENOTCONN;
}
