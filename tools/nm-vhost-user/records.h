/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file with the records of packed rings (src/vm/record.h): SOCKET.rings, beside the socket, so
 * that the server after this one finds it. It is the server's user's alone, who could truncate it:
 * that costs the connection. While a server holds its lock nobody else writes to it.
 *
 * Its memory is committed before it is used. On a file system in memory (/run, mostly) writing to
 * it costs nothing; elsewhere its pages go to the disk now and then.
 */
#ifndef VH_RECORDS_H_
#define VH_RECORDS_H_

#include <stdint.h>

#include "new_file.h"

/**
 * vh_records_open() - open or make the file, and lock it
 * @made: written to if the file was made
 *
 * Before the sandbox. Waits up to a second for a server before us that is about to end. Return: a
 * descriptor, or a negative errno; -EPERM it is somebody else's, or others may write to it.
 */
int vh_records_open(const char *socket, struct vh_new_file *made);

/* Remove the file if it is the one that was made. */
void vh_records_remove(const struct vh_new_file *made, const char *socket);

/* Have it @size bytes, and memory for them. Return: 0 or a negative errno. */
int vh_records_resize(int fd, uint64_t size);

#endif /* VH_RECORDS_H_ */
