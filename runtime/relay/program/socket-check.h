/* Looks at what an agent handed over before anything is done with it. Used by agent.c. */
#ifndef SOCKET_CHECK_H
#define SOCKET_CHECK_H

#include <stdbool.h>
#include <stdint.h>

/* Is this a listening TCP socket on 127.0.0.1 or ::1 and this port? */
bool is_listening_on_loopback(int fd, uint16_t port);
/* Is this a TCP socket that is connected to 127.0.0.1 or ::1 and this port? `error` is set when it
 * is one that the other side has reset already. */
bool is_connected_to_loopback(int fd, uint16_t port, int *error);

#endif
