/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhost-user messages as a front end sends and receives them: the format, and nothing of what they
 * do.
 *
 * All functions wait at most the given time. Numbers and layouts are those of QEMU's vhost-user
 * document.
 */
#ifndef TEST_VM_WIRE_H
#define TEST_VM_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wire_request {
	WIRE_GET_FEATURES = 1,
	WIRE_SET_FEATURES = 2,
	WIRE_SET_OWNER = 3,
	WIRE_SET_MEM_TABLE = 5,
	WIRE_SET_LOG_BASE = 6,
	WIRE_SET_VRING_NUM = 8,
	WIRE_SET_VRING_ADDR = 9,
	WIRE_SET_VRING_BASE = 10,
	WIRE_GET_VRING_BASE = 11,
	WIRE_SET_VRING_KICK = 12,
	WIRE_SET_VRING_CALL = 13,
	WIRE_SET_VRING_ERR = 14,
	WIRE_GET_PROTOCOL_FEATURES = 15,
	WIRE_SET_PROTOCOL_FEATURES = 16,
	WIRE_GET_QUEUE_NUM = 17,
	WIRE_SET_VRING_ENABLE = 18,
	WIRE_SEND_RARP = 19,
	WIRE_GET_INFLIGHT_FD = 31,
	WIRE_SET_INFLIGHT_FD = 32,
	WIRE_RESET_DEVICE = 34,
	WIRE_GET_MAX_MEM_SLOTS = 36,
	WIRE_ADD_MEM_REG = 37,
	WIRE_REM_MEM_REG = 38,
	WIRE_SET_STATUS = 39,
	WIRE_GET_STATUS = 40,
};

#define WIRE_MAX_PAYLOAD 4096u
#define WIRE_MAX_FDS	 8u

/* Protocol features. */
#define WIRE_PF_MQ	       (1ull << 0)
#define WIRE_PF_LOG_SHMFD      (1ull << 1)
#define WIRE_PF_RARP	       (1ull << 2)
#define WIRE_PF_REPLY_ACK      (1ull << 3)
#define WIRE_PF_INFLIGHT_SHMFD (1ull << 12)
#define WIRE_PF_RESET_DEVICE   (1ull << 13)
#define WIRE_PF_MEM_SLOTS      (1ull << 15)
#define WIRE_PF_STATUS	       (1ull << 16)

struct wire_state {
	uint32_t index, num;
};

struct wire_addr {
	uint32_t index, flags; /* bit 0: log */
	uint64_t desc, used, avail, log;
};

struct wire_region {
	uint64_t gpa, size, uaddr, mmap_ofs;
};

struct wire_mem_table {
	uint32_t n, pad;
	struct wire_region region[WIRE_MAX_FDS];
};

struct wire_one_region {
	uint64_t pad;
	struct wire_region region;
};

struct wire_log {
	uint64_t size, ofs;
};

struct wire_inflight {
	uint64_t mmap_size, mmap_ofs;
	uint16_t num_queues, queue_size, pad[2];
};

struct wire_msg {
	uint32_t request, flags, size;
	uint8_t payload[WIRE_MAX_PAYLOAD];
	int fd[WIRE_MAX_FDS]; /* received; the caller closes them */
	unsigned int n_fds;
};

/**
 * wire_connect() - a stream socket to @path, or with @listen the first that connects there
 *
 * Blocks until there is one, or @timeout_ms have passed; a server that is not there yet is waited
 * for.
 * Return: the descriptor, -ETIMEDOUT, or another negative errno.
 */
int wire_connect(const char *path, bool listen, int timeout_ms);

/* Return: 0, or -EPIPE and the like when the other side has gone. */
int wire_send(int sock, uint32_t request, bool need_reply, const void *payload, uint32_t size,
	const int *fd, unsigned int n_fds);

/* Return: 0, -ETIMEDOUT, -ECONNRESET the other side has gone, -EBADMSG no reply to @request. */
int wire_recv(int sock, uint32_t request, struct wire_msg *m, int timeout_ms);

#endif
