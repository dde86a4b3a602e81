/* SPDX-License-Identifier: BSD-2-Clause */
/* The recorder's socket. See control.h. */
#include "control.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "nmt_time.h"
#include "pcap/capture.h"
#include "shm/clock.h"
#include "shm/proto.h"

#define NAME	   "nm-record.sock"
#define MAX_ANSWER (4u << 20)

/* So long a peer holds us up at most; an answer may be some megabytes, and the machine busy. */
#define REQUEST_WAIT_NS UINT64_C(100000000)
#define ANSWER_WAIT_NS	UINT64_C(500000000)
#define NO_DEADLINE	UINT64_MAX

int
control_default_path(char *path)
{
	const char *env = getenv(UNM_SOCKET_ENV), *run = getenv("XDG_RUNTIME_DIR");
	int len;

	if (env != NULL && strchr(env, '/') != NULL)
		len = snprintf(
			path, CONTROL_PATH_SIZE, "%.*s/" NAME, (int)(strrchr(env, '/') - env), env);
	else if (geteuid() == 0)
		len = snprintf(path, CONTROL_PATH_SIZE, UNM_SYSTEM_DIR "/" NAME);
	else if (run != NULL && run[0] == '/')
		len = snprintf(path, CONTROL_PATH_SIZE, "%s/unetmap/" NAME, run);
	else
		len = snprintf(
			path, CONTROL_PATH_SIZE, "/tmp/unetmap-%u/" NAME, (unsigned int)geteuid());
	return len < CONTROL_PATH_SIZE ? 0 : -ENAMETOOLONG;
}

static int
make_socket(const char *path, struct sockaddr_un *sa)
{
	int fd;

	*sa = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(sa->sun_path))
		return -ENAMETOOLONG;
	memcpy(sa->sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

/* Does nobody serve the socket that is there? */
static int
is_left_over(const char *path)
{
	struct sockaddr_un sa;
	const int fd = make_socket(path, &sa);
	int left_over;

	if (fd < 0)
		return 0;
	left_over =
		connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0 && errno == ECONNREFUSED;
	close(fd);
	return left_over;
}

static int
bind_and_listen(int fd, const struct sockaddr_un *sa)
{
	const mode_t mask = umask(0177);
	int ret = bind(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0 ? -errno : 0;

	umask(mask);
	if (ret == 0 && listen(fd, 16) < 0)
		ret = -errno;
	return ret;
}

int
control_listen(const char *path, char *why)
{
	struct sockaddr_un sa;
	int fd = make_socket(path, &sa);
	int ret;

	if (fd < 0) {
		snprintf(why, UNM_CAP_WHY_SIZE, "%.108s: %s", path, strerror(-fd));
		return fd;
	}
	ret = bind_and_listen(fd, &sa);
	if (ret == -EADDRINUSE && is_left_over(path) && unlink(path) == 0)
		ret = bind_and_listen(fd, &sa);
	if (ret == 0)
		return fd;
	close(fd);
	if (ret == -EADDRINUSE)
		snprintf(why, UNM_CAP_WHY_SIZE,
			"another recorder has the socket %.108s: give this one another with -S",
			path);
	else
		snprintf(why, UNM_CAP_WHY_SIZE, "cannot make the socket %.108s: %s", path,
			strerror(-ret));
	return ret;
}

/* Return: 0; -ETIMEDOUT: it is @deadline_ns, and nothing has come of @events. */
static int
wait_for(int fd, short events, uint64_t deadline_ns)
{
	for (;;) { /* until no signal comes */
		const uint64_t now_ns = nmt_now_ns();
		const uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
		const struct timespec left = unm_timespec(left_ns);
		struct pollfd p = {.fd = fd, .events = events};
		const int n = ppoll(&p, 1, deadline_ns != NO_DEADLINE ? &left : NULL, NULL);

		if (n > 0)
			return 0;
		if (n == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

/* The line that is to come, without its end. Return: 0 or negative errno. */
static int
receive_request(int fd, char *req, uint64_t deadline_ns)
{
	size_t len = 0;
	int ret;

	while (len + 1 < CONTROL_MAX_REQ) { /* each round brings a byte at least, or is the last */
		ssize_t n;

		ret = wait_for(fd, POLLIN, deadline_ns);
		if (ret < 0)
			return ret;
		n = recv(fd, req + len, CONTROL_MAX_REQ - 1 - len, MSG_DONTWAIT);
		if (n <= 0)
			return -EPROTO;
		len += (size_t)n;
		if (req[len - 1] == '\n') {
			req[len - 1] = '\0';
			return 0;
		}
	}
	return -EPROTO;
}

int
control_accept(int listen_fd, char *req)
{
	const int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
	int ret;

	if (fd < 0)
		return -errno;
	/* Bytes that come one by one do not make it longer. */
	ret = receive_request(fd, req, nmt_now_ns() + REQUEST_WAIT_NS);
	if (ret == 0)
		return fd;
	close(fd);
	return ret;
}

static int
send_all(int fd, const char *text, size_t len, uint64_t deadline_ns)
{
	while (len > 0) {
		const int ret = wait_for(fd, POLLOUT, deadline_ns);
		ssize_t n;

		if (ret < 0)
			return ret;
		n = send(fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

void
control_answer(int fd, int error, const char *text)
{
	const uint64_t deadline_ns = nmt_now_ns() + ANSWER_WAIT_NS;
	const char *verdict = error < 0 ? "error " : "ok ";

	if (send_all(fd, verdict, strlen(verdict), deadline_ns) == 0)
		(void)send_all(fd, text, strlen(text), deadline_ns);
	close(fd);
}

/* All that comes until the end. */
static char *
receive_all(int fd)
{
	size_t len = 0, room = 4096;
	char *text = malloc(room);

	while (text != NULL && room <= MAX_ANSWER) {
		const ssize_t n = recv(fd, &text[len], room - 1 - len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
		if (room - 1 == len) {
			char *more = realloc(text, room *= 2);

			if (more == NULL)
				free(text);
			text = more;
		}
	}
	if (text != NULL)
		text[len] = '\0';
	return text;
}

int
control_ask(const char *path, const char *req, char **answer)
{
	struct sockaddr_un sa;
	int fd = make_socket(path, &sa), ret = 0;
	char *text = NULL;

	*answer = NULL;
	if (fd < 0)
		return fd;
	if (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0)
		ret = -errno;
	if (ret == 0)
		ret = send_all(fd, req, strlen(req), NO_DEADLINE);
	if (ret == 0)
		ret = send_all(fd, "\n", 1, NO_DEADLINE);
	if (ret == 0)
		text = receive_all(fd);
	close(fd);
	if (ret < 0)
		return ret;
	if (text != NULL && strncmp(text, "ok ", 3) == 0)
		*answer = strdup(text + 3);
	else if (text != NULL && strncmp(text, "error ", 6) == 0)
		*answer = strdup(text + 6);
	ret = text == NULL ? -ENOMEM : text[0] == '\0' ? -ECONNRESET : text[0] != 'o';
	free(text);
	return ret;
}
