/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhost-user messages as they travel: a header, a payload of the size that it gives, descriptors
 * with the first byte. Host byte order. Everything in a payload is untrusted.
 *
 * Source: vhost-user protocol (QEMU, docs/interop/vhost-user.rst).
 */
#ifndef UNM_VM_VHOST_USER_MSG_H
#define UNM_VM_VHOST_USER_MSG_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define UNM_VU_VERSION	       1u
#define UNM_VU_VERSION_MASK    0x3u
#define UNM_VU_FLAG_REPLY      0x4u
#define UNM_VU_FLAG_NEED_REPLY 0x8u

#define UNM_VU_MAX_PAYLOAD     4096u /* the largest that we know has 268 */
#define UNM_VU_MAX_TABLE       8u    /* regions in a SET_MEM_TABLE */
#define UNM_VU_CONFIG_SIZE     256u

/* Feature bits that are the protocol's own. */
#define UNM_VU_F_LOG_ALL  (1ull << 26)
#define UNM_VU_F_PROTOCOL (1ull << 30)

/* In SET_VRING_KICK, CALL and ERR. */
#define UNM_VU_RING_MASK 0xffull
#define UNM_VU_NO_FD	 (1ull << 8)

#define UNM_VU_ADDR_LOG	 1u /* unm_vu_ring_addr.flags */

enum unm_vu_request {
	UNM_VU_GET_FEATURES = 1,
	UNM_VU_SET_FEATURES = 2,
	UNM_VU_SET_OWNER = 3,
	UNM_VU_RESET_OWNER = 4,
	UNM_VU_SET_MEM_TABLE = 5,
	UNM_VU_SET_LOG_BASE = 6,
	UNM_VU_SET_LOG_FD = 7,
	UNM_VU_SET_VRING_NUM = 8,
	UNM_VU_SET_VRING_ADDR = 9,
	UNM_VU_SET_VRING_BASE = 10,
	UNM_VU_GET_VRING_BASE = 11,
	UNM_VU_SET_VRING_KICK = 12,
	UNM_VU_SET_VRING_CALL = 13,
	UNM_VU_SET_VRING_ERR = 14,
	UNM_VU_GET_PROTOCOL_FEATURES = 15,
	UNM_VU_SET_PROTOCOL_FEATURES = 16,
	UNM_VU_GET_QUEUE_NUM = 17,
	UNM_VU_SET_VRING_ENABLE = 18,
	UNM_VU_SEND_RARP = 19,
	UNM_VU_NET_SET_MTU = 20,
	UNM_VU_SET_BACKEND_REQ_FD = 21,
	UNM_VU_GET_CONFIG = 24,
	UNM_VU_SET_CONFIG = 25,
	UNM_VU_GET_INFLIGHT_FD = 31,
	UNM_VU_SET_INFLIGHT_FD = 32,
	UNM_VU_RESET_DEVICE = 34,
	UNM_VU_GET_MAX_MEM_SLOTS = 36,
	UNM_VU_ADD_MEM_REG = 37,
	UNM_VU_REM_MEM_REG = 38,
	UNM_VU_SET_STATUS = 39,
	UNM_VU_GET_STATUS = 40,
	UNM_VU_N_REQUESTS,
};

/* On the channel from the back end to the front end. */
#define UNM_VU_BACKEND_CONFIG_CHANGE 2u

struct unm_vu_hdr {
	uint32_t request;
	uint32_t flags;
	uint32_t size; /* of the payload */
};

struct unm_vu_ring_state {
	uint32_t index;
	uint32_t num;
};

struct unm_vu_ring_addr {
	uint32_t index;
	uint32_t flags;
	uint64_t desc; /* this and the next two: front-end user addresses */
	uint64_t used;
	uint64_t avail;
	uint64_t log; /* guest physical address of the used ring */
};

struct unm_vu_region {
	uint64_t gpa;
	uint64_t size;
	uint64_t uaddr;
	uint64_t mmap_ofs;
};

struct unm_vu_mem_table {
	uint32_t n_regions;
	uint32_t pad;
	struct unm_vu_region region[UNM_VU_MAX_TABLE];
};

struct unm_vu_one_region {
	uint64_t pad;
	struct unm_vu_region region;
};

struct unm_vu_log {
	uint64_t size;
	uint64_t ofs;
};

struct unm_vu_config {
	uint32_t ofs;
	uint32_t size;
	uint32_t flags;
	uint8_t data[UNM_VU_CONFIG_SIZE];
};

struct unm_vu_inflight {
	uint64_t mmap_size;
	uint64_t mmap_ofs;
	uint16_t num_queues;
	uint16_t queue_size;
};

union unm_vu_payload {
	uint64_t u64;
	struct unm_vu_ring_state state;
	struct unm_vu_ring_addr addr;
	struct unm_vu_mem_table mem;
	struct unm_vu_one_region region;
	struct unm_vu_log log;
	struct unm_vu_config config;
	struct unm_vu_inflight inflight;
	uint8_t bytes[UNM_VU_MAX_PAYLOAD];
};

/* Sizes on the wire where a structure has padding at its end, or less than all of its array. */
#define UNM_VU_CONFIG_HDR    offsetof(struct unm_vu_config, data)
#define UNM_VU_INFLIGHT_SIZE 20u
#define UNM_VU_TABLE_HDR     offsetof(struct unm_vu_mem_table, region)

static_assert(sizeof(struct unm_vu_hdr) == 12, "header");
static_assert(sizeof(struct unm_vu_ring_state) == 8, "vring state");
static_assert(sizeof(struct unm_vu_ring_addr) == 40, "vring address");
static_assert(offsetof(struct unm_vu_ring_addr, desc) == 8, "vring address");
static_assert(sizeof(struct unm_vu_region) == 32, "memory region");
static_assert(UNM_VU_TABLE_HDR == 8, "memory table");
static_assert(sizeof(struct unm_vu_one_region) == 40, "single memory region");
static_assert(sizeof(struct unm_vu_log) == 16, "log");
static_assert(UNM_VU_CONFIG_HDR == 12, "configuration space");
static_assert(offsetof(struct unm_vu_inflight, queue_size) == 18, "in-flight region");

#endif
