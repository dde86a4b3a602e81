/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libFuzzer on vhost-user: messages and guest memory, through a socket pair, into the back end and
 * its virtqueues. The input is
 *
 *   length of the memory image (2 bytes), image, then messages, each
 *   request, kind of descriptors, length of the payload (1 byte each), payload
 *
 * The image is copied to the start of a memory file. Bit 7 of the kind asks for an answer. After
 * each message a device takes what the running rings have and completes it, as a NIC would.
 * Payloads are in the format of the wire, so seeds are conversations (make_seeds.py).
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vm/log.h"
#include "vm/vhost_user/backend.h"
#include "vm/vhost_user/conn.h"

#define MEM_SIZE     (256u * 1024u)
#define N_RINGS	     4
#define MAX_MESSAGES 64
#define MAX_CHAINS   64 /* taken after one message */
#define KIND_ANSWER  0x80
#define MAX_SENT     9

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct device {
	struct unm_vq *q[N_RINGS];
};

/* What the front end has at hand; made once, but for the memory's contents. */
static int mem_fd, small_fd, records_fd, event_fd, pipe_fds[2], sock_fds[2];

static void
on_features(void *dev, uint64_t acked)
{
	(void)dev;
	(void)acked;
}

static void
on_started(void *dev, unsigned int idx, struct unm_vq *q, int kick_fd)
{
	struct device *d = dev;

	(void)kick_fd;
	if (idx >= N_RINGS || d->q[idx] != NULL ||
		(!unm_vq_is_running(q) && unm_vq_broken_reason(q) == NULL))
		abort();
	d->q[idx] = q;
}

static void
on_stopped(void *dev, unsigned int idx)
{
	struct device *d = dev;

	if (idx >= N_RINGS || d->q[idx] == NULL)
		abort();
	d->q[idx] = NULL;
}

static void
on_flag(void *dev, bool ok)
{
	(void)dev;
	(void)ok;
}

static void
on_reset(void *dev)
{
	const struct device *d = dev;
	unsigned int i;

	for (i = 0; i < N_RINGS; i++)
		if (d->q[i] != NULL)
			abort();
}

static void
on_enabled(void *dev, unsigned int idx, bool enabled)
{
	(void)dev;
	(void)enabled;
	if (idx >= N_RINGS)
		abort();
}

static void
on_mtu(void *dev, uint16_t mtu)
{
	(void)dev;
	if (mtu < 68)
		abort();
}

static void
on_rarp(void *dev, const uint8_t mac[6])
{
	(void)dev;
	if ((mac[0] & 1) != 0)
		abort();
}

static void
on_get_config(void *dev, uint32_t ofs, uint32_t len, uint8_t *out)
{
	(void)dev;
	if (ofs > 256 || len > 256 - ofs)
		abort();
	memset(out, 0x5a, len);
}

static int
on_set_config(void *dev, uint32_t ofs, uint32_t len, const uint8_t *in)
{
	(void)dev;
	(void)in;
	if (ofs > 256 || len > 256 - ofs)
		abort();
	return ofs == 0 ? 0 : -EINVAL;
}

static const struct unm_vu_device_ops ops = {
	.features = UINT64_C(0xd70008023) | UINT64_C(1) << 15,
	.protocol_features = UNM_VU_PF_SUPPORTED,
	.n_rings = N_RINGS,
	.queue_num = N_RINGS / 2,
	.set_features = on_features,
	.ring_started = on_started,
	.ring_stopped = on_stopped,
	.ring_enabled = on_enabled,
	.driver_ok = on_flag,
	.reset = on_reset,
	.set_mtu = on_mtu,
	.send_rarp = on_rarp,
	.get_config = on_get_config,
	.set_config = on_set_config,
};

/* Take chains and complete them; touch the ends of each part, which must be in memory. */
static void
serve(struct unm_vq *q)
{
	static struct unm_vq_part parts[UNM_VQ_MAX_PARTS];
	struct unm_vq_chain c;
	unsigned int n, i;

	for (n = 0; n < MAX_CHAINS; n++) {
		if (unm_vq_peek(q, &c, parts, UNM_VQ_MAX_PARTS) != 1)
			break;
		for (i = 0; i < c.n_read; i++) {
			if (c.part[i].len > 0)
				(void)*(volatile uint8_t *)(c.part[i].data + c.part[i].len - 1);
		}
		for (; i < (unsigned int)c.n_read + c.n_write; i++) {
			if (c.part[i].len > 0)
				c.part[i].data[c.part[i].len - 1] ^= 1;
		}
		unm_vq_push(q, &c, c.write_len);
	}
	if (unm_vq_flush(q))
		unm_vq_call(q);
	if (unm_vq_kicks_on(q))
		unm_vq_kicks_off(q);
}

static void
silent(void *arg, const char *line)
{
	(void)arg;
	(void)line;
}

static void
set_up(void)
{
	unm_vm_set_log(silent, NULL);
	mem_fd = memfd_create("guest", MFD_CLOEXEC);
	records_fd = memfd_create("records", MFD_CLOEXEC);
	small_fd = memfd_create("small", MFD_CLOEXEC);
	event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (mem_fd < 0 || records_fd < 0 || small_fd < 0 || event_fd < 0 ||
		ftruncate(mem_fd, MEM_SIZE) != 0 || ftruncate(small_fd, 100) != 0 ||
		pipe(pipe_fds) != 0 ||
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sock_fds) != 0)
		abort();
}

/* Descriptors of a message. Return: their number. */
static unsigned int
choose_fds(unsigned int kind, int *fds)
{
	const int one[] = {-1, mem_fd, event_fd, small_fd, pipe_fds[0], pipe_fds[1], sock_fds[0]};
	unsigned int i;

	kind &= 0xf;
	if (kind == 0)
		return 0;
	if (kind < sizeof(one) / sizeof(one[0])) {
		fds[0] = one[kind];
		return 1;
	}
	for (i = 0; i < kind - 5; i++) /* 2 to 9 of the memory, or too many */
		fds[i] = mem_fd;
	return kind - 5 < MAX_SENT ? kind - 5 : MAX_SENT;
}

static void
send_message(int sock, uint8_t request, uint8_t kind, const uint8_t *payload, size_t len)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(16 * sizeof(int))];
	} control = {.bytes = {0}};
	uint32_t hdr[3] = {request, UNM_VU_VERSION, (uint32_t)len};
	struct iovec iov[2] = {{hdr, sizeof(hdr)}, {(void *)(uintptr_t)payload, len}};
	struct msghdr mh = {.msg_iov = iov, .msg_iovlen = 2};
	int fds[16];
	const unsigned int n = choose_fds(kind, fds);

	if ((kind & KIND_ANSWER) != 0)
		hdr[1] |= UNM_VU_FLAG_NEED_REPLY;
	if (n > 0) {
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(&control.align), fds, n * sizeof(int));
		mh.msg_control = control.bytes;
		mh.msg_controllen = CMSG_SPACE(n * sizeof(int));
	}
	if (sendmsg(sock, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		abort();
}

/* Read answers away; an in-flight region's descriptor may be among them. */
static void
drain(int sock)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	char buf[512];
	struct iovec iov = {buf, sizeof(buf)};
	int fd;

	for (;;) { /* until the socket is empty */
		struct msghdr mh = {.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control.bytes,
			.msg_controllen = sizeof(control.bytes)};

		if (recvmsg(sock, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) <= 0)
			return;
		if (CMSG_FIRSTHDR(&mh) == NULL)
			continue;
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&mh)), sizeof(fd));
		close(fd);
	}
}

static void
converse(struct unm_vu_backend *b, struct device *d, int sock, const uint8_t *data, size_t size)
{
	unsigned int n, i;

	for (n = 0; n < MAX_MESSAGES && size >= 3; n++) {
		const size_t len = data[2] < size - 3 ? data[2] : size - 3;

		send_message(sock, data[0], data[1], data + 3, len);
		data += 3 + len;
		size -= 3 + len;
		if (unm_vu_readable(b) < 0)
			return;
		drain(sock);
		for (i = 0; i < N_RINGS; i++) {
			if (d->q[i] != NULL)
				serve(d->q[i]);
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool is_set_up;
	struct device d = {{NULL}};
	struct unm_vu_backend *b;
	size_t image;
	unsigned int i;
	int sv[2];

	if (!is_set_up)
		set_up();
	is_set_up = true;
	if (size < 2)
		return 0;
	image = data[0] | (size_t)data[1] << 8;
	if (image > size - 2)
		image = size - 2;
	if (ftruncate(mem_fd, 0) != 0 || ftruncate(mem_fd, MEM_SIZE) != 0 ||
		pwrite(mem_fd, data + 2, image, 0) != (ssize_t)image)
		abort();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) != 0)
		abort();
	if (unm_vu_backend_new(&b, sv[0], &ops, &d, "fuzz") != 0)
		abort();
	if (ftruncate(records_fd, 0) != 0 ||
		ftruncate(records_fd, (off_t)unm_vu_records_size(N_RINGS)) != 0 ||
		unm_vu_set_records(b, records_fd) != 0)
		abort();
	converse(b, &d, sv[1], data + 2 + image, size - 2 - image);
	unm_vu_backend_free(b);
	for (i = 0; i < N_RINGS; i++) {
		if (d.q[i] != NULL)
			abort();
	}
	close(sv[1]);
	return 0;
}
