/* SPDX-License-Identifier: BSD-2-Clause */
/* Talking to netmapd. See conn.h. */
#include "client/conn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "shm/proto.h"
#include "shm/socket_dir.h"

#define ANSWER_WAIT_MS 20000u /* longer than netmapd makes a command wait after a restart */
#define MAX_ANSWER     (64u << 20)

static int
try_path(struct unm_conn *c, const char *path, unsigned int wait_ms)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	const struct timeval wait = {
		.tv_sec = wait_ms / 1000,
		.tv_usec = wait_ms % 1000 * 1000L,
	};
	int fd, ret = 0;

	if (strlen(path) >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	memcpy(sa.sun_path, path, strlen(path) + 1);
	memcpy(c->path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* The second one counts for connect() too: the queue of a netmapd that is stopped may be full. */
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	if (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0) {
		ret = -errno;
		close(fd);
	} else {
		c->fd = fd;
	}
	memcpy(c->tried[c->n_tried], path, strlen(path) + 1);
	c->tried_error[c->n_tried++] = -ret;
	return ret;
}

/* By the socket's mode, or by netmapd. */
static void
refused(struct unm_conn *c)
{
	snprintf(c->text, sizeof(c->text),
		"you may not use the netmapd at %.108s: run as its user, as root, or become a "
		"member of its group",
		c->path);
}

static void
absent(struct unm_conn *c, int error)
{
	char dir[sizeof(c->path)];

	if (error == -ENOENT && unm_socket_dir_missing(c->path, dir, sizeof(dir)))
		snprintf(c->text, sizeof(c->text), "%.108s: %s (" UNM_SOCKET_DIR_HINT ")", dir,
			strerror(-error));
	else if (unm_socket_is_isolated(c->path))
		snprintf(c->text, sizeof(c->text),
			"nobody serves %.108s (%s), and it is for isolated clients: nmctl needs "
			"netmapd's own",
			c->path, strerror(-error));
	else
		snprintf(c->text, sizeof(c->text),
			"no netmapd answers at %.108s (%s): start it with 'systemctl start "
			"netmapd' or 'netmapd --autostart'",
			c->path, strerror(-error));
}

int
unm_conn_open(struct unm_conn *c, const char *path)
{
	return unm_conn_open_for(c, path, ANSWER_WAIT_MS);
}

int
unm_conn_open_for(struct unm_conn *c, const char *path, unsigned int wait_ms)
{
	const char *run = getenv("XDG_RUNTIME_DIR");
	char user[108];
	int ret;

	memset(c, 0, sizeof(*c));
	c->fd = -1;
	if (path == NULL)
		path = getenv(UNM_SOCKET_ENV);
	if (path != NULL && path[0] != '\0') {
		ret = try_path(c, path, wait_ms);
	} else {
		ret = try_path(c, UNM_SYSTEM_DIR "/" UNM_SOCKET_NAME, wait_ms);
		if (ret < 0 && ret != -EAGAIN && geteuid() != 0) {
			if (run != NULL && run[0] == '/')
				snprintf(user, sizeof(user), "%s/unetmap/" UNM_SOCKET_NAME, run);
			else
				snprintf(user, sizeof(user), "/tmp/unetmap-%u/" UNM_SOCKET_NAME,
					(unsigned int)geteuid());
			ret = try_path(c, user, wait_ms);
		}
	}
	if (ret == -EACCES)
		refused(c);
	else if (ret == -EAGAIN)
		unm_conn_failed(c, ret, NULL);
	else if (ret < 0)
		absent(c, ret);
	return ret;
}

void
unm_conn_close(struct unm_conn *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

static int
send_words(struct unm_conn *c, const char *const *words, unsigned int n_words)
{
	struct unm_msg_hdr hdr = {.type = UNM_MSG_ADMIN, .seq = 1};
	char buf[UNM_REQ_MAXSIZE];
	struct unm_msg_admin *req = (struct unm_msg_admin *)(void *)buf;
	size_t len = sizeof(*req);
	unsigned int i;

	memset(req, 0, sizeof(*req));
	for (i = 0; i < n_words; i++) {
		const size_t n = strlen(words[i]) + 1;

		if (n > sizeof(buf) - len)
			return -E2BIG;
		memcpy(buf + len, words[i], n);
		len += n;
	}
	req->text_len = (uint32_t)(len - sizeof(*req));
	return unm_proto_send(c->fd, &hdr, buf, len, NULL, 0, 0);
}

/* The text of an answer too long for a message. Return: allocated, or NULL. */
static char *
read_memfd(int fd)
{
	struct stat st;
	char *text;

	if (fstat(fd, &st) < 0 || st.st_size < 0 || (uint64_t)st.st_size > MAX_ANSWER)
		return NULL;
	text = malloc((size_t)st.st_size + 1);
	if (text == NULL)
		return NULL;
	if (pread(fd, text, (size_t)st.st_size, 0) != st.st_size) {
		free(text);
		return NULL;
	}
	text[st.st_size] = '\0';
	return text;
}

/* Return: 0 or negative errno; *text is allocated. */
static int
receive(struct unm_conn *c, char **text)
{
	struct unm_msg_hdr *hdr = malloc(UNM_PROTO_MAXLEN);
	const struct unm_msg_admin *ans;
	int fds[UNM_PROTO_MAXFDS];
	unsigned int i, n_fds;
	int ret;

	if (hdr == NULL)
		return -ENOMEM;
	ans = (const struct unm_msg_admin *)(const void *)(hdr + 1);
	ret = unm_proto_recv(c->fd, hdr, UNM_PROTO_MAXLEN, fds, &n_fds, 0);
	if (ret < 0) {
		free(hdr);
		return ret;
	}
	if (hdr->type == UNM_MSG_HELLO) { /* refused before anything was asked */
		const struct unm_msg_hello *hello =
			(const struct unm_msg_hello *)(const void *)(hdr + 1);

		*text = hdr->len >= sizeof(*hdr) + sizeof(*hello)
				? strndup(hello->text, sizeof(hello->text))
				: NULL;
		ret = hdr->error != 0 ? -hdr->error : -EPROTO;
	} else if (hdr->len < sizeof(*hdr) + sizeof(*ans)) {
		ret = hdr->error != 0 ? -hdr->error : -EPROTO;
	} else if (ans->text_len > hdr->len - sizeof(*hdr) - sizeof(*ans)) {
		ret = -EPROTO;
	} else {
		*text = n_fds == 1 ? read_memfd(fds[0]) : strndup(ans->text, ans->text_len);
		ret = *text == NULL ? -ENOMEM : -hdr->error;
	}
	for (i = 0; i < n_fds; i++)
		close(fds[i]);
	free(hdr);
	return ret;
}

int
unm_conn_ask(struct unm_conn *c, const char *const *words, unsigned int n_words, char **text)
{
	int ret = send_words(c, words, n_words);

	*text = NULL;
	if (ret == 0 || ret == -EPIPE) /* who refuses us may have said why, and closed */
		ret = receive(c, text);
	if (ret == 0)
		return 0;
	unm_conn_failed(c, ret, *text);
	free(*text);
	*text = NULL;
	return ret;
}

void
unm_conn_failed(struct unm_conn *c, int error, const char *text)
{
	if (text != NULL && text[0] != '\0' && error != -EPROTO)
		snprintf(c->text, sizeof(c->text), "%.255s", text);
	else if (error == -EPERM)
		refused(c);
	else
		snprintf(c->text, sizeof(c->text), "netmapd at %.108s: %s", c->path,
			error == -EAGAIN ? "it does not answer" : strerror(-error));
}
