/* SPDX-License-Identifier: BSD-2-Clause */
/* A FIFO that is never waited for where a signal could be missed. See fifo.h. */
#include "fifo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nmt_stop.h"
#include "nmt_time.h"

#define BUFFER_SIZE    65536 /* of a FIFO */
#define OPEN_PERIOD_MS 50
#define END_WAIT_NS    (2 * NMT_NS_PER_S)

static bool
is_fifo(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISFIFO(st.st_mode);
}

/* open(2) would wait where a signal that came just before is missed. Return: descriptor, -errno. */
static int
open_when_read(const char *path)
{
	const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

	while (!nmt_stop_requested()) { /* until somebody reads */
		const int fd = open(path, flags, 0666);
		const int error = errno;

		if (fd >= 0)
			return fd;
		if (error != ENXIO || !is_fifo(path))
			return -error;
		(void)nmt_stop_poll(NULL, 0, OPEN_PERIOD_MS); /* the flag tells why it returned */
	}
	return -EINTR;
}

/* How long to wait for room, for poll(2). */
static int
patience_ms(struct fifo *f)
{
	const uint64_t now_ns = nmt_now_ns();

	if (!nmt_stop_requested())
		return -1;
	if (f->end_ns == 0)
		f->end_ns = now_ns + END_WAIT_NS;
	return now_ns < f->end_ns ? (int)((f->end_ns - now_ns) / 1000000) + 1 : 0;
}

/* Return: 0, or negative errno: there was none in time. */
static int
wait_room(struct fifo *f)
{
	struct pollfd p = {f->fd, POLLOUT, 0};
	const int n = nmt_stop_poll(&p, 1, patience_ms(f));

	if (n == 0)
		return -ETIMEDOUT;
	return n < 0 && n != -EINTR ? n : 0;
}

/* Of a stream: less than @len and errno if it failed. */
static ssize_t
put(void *cookie, const char *bytes, size_t len)
{
	struct fifo *f = cookie;
	size_t done = 0;
	int error = 0;

	while (done < len && error == 0) { /* takes bytes, or waits for room, or fails */
		const ssize_t n = write(f->fd, bytes + done, len - done);

		if (n >= 0)
			done += (size_t)n;
		else
			error = errno == EAGAIN ? wait_room(f) : errno == EINTR ? 0 : -errno;
	}
	if (error < 0)
		errno = -error;
	return (ssize_t)done;
}

int
fifo_open(struct fifo *f, const char *path)
{
	static const cookie_io_functions_t writes = {.write = put};
	int error;

	*f = (struct fifo){.fd = open_when_read(path)};
	if (f->fd < 0)
		return f->fd;
	f->file = fopencookie(f, "w", writes);
	if (f->file == NULL) {
		error = -errno;
		close(f->fd);
		return error;
	}
	(void)setvbuf(f->file, NULL, _IOFBF, BUFFER_SIZE); /* without it there are more calls */
	return 0;
}

void
fifo_close(struct fifo *f)
{
	fclose(f->file); /* fails after what has failed before */
	close(f->fd);
}
