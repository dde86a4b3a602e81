/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libFuzzer on netmapd's message handler. The input is a list of messages, each
 *
 *   type, descriptors (0 ... 7), length low, length high, body
 *
 * sent by a client that has said HELLO. The first bytes of a body that name a descriptor name one that exists if they are zero, so
 * that requests get past the first check. Descriptors are memory files, an eventfd and the socket of an application. What opens TAPs
 * and starts processes is replaced.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/adopt.h"
#include "daemon/server.h"
#include "daemon/tap.h"
#include "daemon/worker.h"

#define MAX_MESSAGES 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int __wrap_unm_tap_open_queues(
	const struct unm_name *name, uint32_t n, int *fds, struct unm_reason *why);
int __wrap_unm_worker_attach(
	struct unm_server *srv, struct unm_dport *port, struct unm_reason *why);
void __wrap_unm_worker_keep(struct unm_server *srv, struct unm_dport *port);
void __wrap_unm_worker_adopt(struct unm_server *srv, struct unm_dport *port, pid_t pid);

int
__wrap_unm_tap_open_queues(
	const struct unm_name *name, uint32_t n, int *fds, struct unm_reason *why)
{
	uint32_t i;

	(void)name;
	(void)why;
	for (i = 0; i < n; i++)
		fds[i] = eventfd(0, EFD_NONBLOCK);
	return 0;
}

int
__wrap_unm_worker_attach(struct unm_server *srv, struct unm_dport *port, struct unm_reason *why)
{
	(void)srv;
	(void)why;
	port->worker_pid = 1;
	return 0;
}

void
__wrap_unm_worker_keep(struct unm_server *srv, struct unm_dport *port)
{
	(void)srv;
	port->worker_pid = 1;
}

void
__wrap_unm_worker_adopt(struct unm_server *srv, struct unm_dport *port, pid_t pid)
{
	(void)srv;
	port->worker_pid = pid;
}

/* An application's descriptor with an id of zeroes, bound as a client binds it. */
static void
make_desc(int sv[2])
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	const size_t prefix = strlen(UNM_DESC_NAME_PREFIX);

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		abort();
	memcpy(sa.sun_path + 1, UNM_DESC_NAME_PREFIX, prefix);
	memset(sa.sun_path + 1 + prefix, '0', UNM_DESC_ID_HEXLEN);
	/* Another run of the fuzzer beside this one may have the name: then OPEN fails, which is fine too. */
	if (bind(sv[1], (struct sockaddr *)&sa,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + prefix +
				UNM_DESC_ID_HEXLEN)) < 0 &&
		errno != EADDRINUSE)
		abort();
}

static int
make_fd(unsigned int i, int desc)
{
	int fd;

	switch (i) {
	case 0:
		return dup(desc);
	case 4:
		return eventfd(0, EFD_NONBLOCK);
	default:
		fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		if (ftruncate(fd, 1 << 20) < 0)
			abort();
		return fd;
	}
}

static int
send_message(struct unm_session *s, int client, int desc, const uint8_t *body, size_t len,
	uint8_t type, unsigned int n_fds)
{
	static char buf[UNM_PROTO_MAXLEN] __attribute__((aligned(8)));
	static char answer[UNM_PROTO_MAXLEN] __attribute__((aligned(8)));
	struct unm_msg_hdr *hdr = (struct unm_msg_hdr *)(void *)buf;
	int fds[UNM_PROTO_MAXFDS];
	unsigned int i, n_got = 0;
	int ret;

	memset(hdr, 0, sizeof(*hdr));
	hdr->magic = UNM_PROTO_MAGIC;
	hdr->type = type;
	hdr->n_fds = (uint16_t)n_fds;
	hdr->len = (uint32_t)(sizeof(*hdr) + len);
	memcpy(hdr + 1, body, len);
	for (i = 0; i < n_fds; i++)
		fds[i] = make_fd(i, desc);
	ret = unm_message_handle(s, buf, fds, n_fds);
	if (ret == 0 &&
		unm_proto_recv(client, answer, sizeof(answer), fds, &n_got, MSG_DONTWAIT) == 0) {
		for (i = 0; i < n_got; i++)
			close(fds[i]);
	}
	return ret;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct unm_msg_hello hello = {.proto_version = UNM_PROTO_VERSION};
	struct unm_msg_open open_msg = {.desc_id = {0}};
	struct unm_config cfg;
	struct unm_server srv;
	struct unm_session *s = calloc(1, sizeof(*s));
	int sv[2], desc[2], i, ret;

	unm_log_open(false, -1);
	unm_config_defaults(&cfg);
	cfg.memory_mib = 64;
	if (s == NULL || unm_server_init(&srv, &cfg) < 0 ||
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		abort();
	s->src.fd = sv[0];
	s->srv = &srv;
	s->uid = geteuid();
	srv.sessions = s;
	srv.n_connections = 1;
	if (unm_loop_add(&srv.loop, &s->src, 0) < 0)
		abort();
	make_desc(desc);
	ret = send_message(
		s, sv[1], desc[1], (const uint8_t *)&hello, sizeof(hello), UNM_MSG_HELLO, 0);
	if (ret == 0)
		ret = send_message(s, sv[1], desc[1], (const uint8_t *)&open_msg, sizeof(open_msg),
			UNM_MSG_OPEN, 2);
	for (i = 0; i < MAX_MESSAGES && size >= 4 && ret == 0 && s->held == NULL; i++) {
		size_t len = data[2] | (size_t)data[3] << 8;
		const uint8_t type = data[0];
		const unsigned int n_fds = data[1] & 7;

		data += 4;
		size -= 4;
		if (len > size)
			len = size;
		if (len > UNM_PROTO_MAXLEN - sizeof(struct unm_msg_hdr))
			len = UNM_PROTO_MAXLEN - sizeof(struct unm_msg_hdr);
		ret = send_message(s, sv[1], desc[1], data, len, type, n_fds);
		data += len;
		size -= len;
	}
	close(desc[0]);
	unm_loop_poll_hangups(&srv.loop);
	if (srv.is_restoring)
		unm_adopt_finish(&srv);
	unm_domain_reap(&srv.dom);
	unm_server_fini(&srv);
	close(desc[1]);
	close(sv[1]);
	return 0;
}
