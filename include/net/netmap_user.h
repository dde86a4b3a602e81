/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net/netmap_user.h - macros to find things in a mapped region, and the nm_* helpers.
 *
 * Two levels. Plain inclusion gives pointers from offsets (NETMAP_IF, NETMAP_TXRING, NETMAP_RXRING,
 * NETMAP_BUF), ring arithmetic and the message macros. With NETMAP_WITH_LIBS defined before the
 * inclusion there is also a small library of static functions, from net/netmap_helpers.h.
 */
#ifndef _NET_NETMAP_USER_H_
#define _NET_NETMAP_USER_H_

#include <stdint.h>
#include <sys/socket.h>
#include <net/if.h>
#include <ctype.h>
#include <string.h>
#include <sys/time.h>
#include <net/netmap.h>

#define NETMAP_DEVICE_NAME "/dev/netmap"

#ifndef likely
#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#endif

/* Address arithmetic in bytes; the void pointer says that the alignment has been thought of. */
#define _NETMAP_OFFSET(type, ptr, offset) ((type)(void *)((char *)(ptr) + (offset)))

#define NETMAP_IF(_base, _ofs)		  _NETMAP_OFFSET(struct netmap_if *, _base, _ofs)

/* The ring with the given index, host rings counted after the others. */
#define NETMAP_TXRING(nifp, index)                                                                 \
	_NETMAP_OFFSET(struct netmap_ring *, nifp, (nifp)->ring_ofs[index])
#define NETMAP_RXRING(nifp, index)                                                                 \
	_NETMAP_OFFSET(struct netmap_ring *, nifp,                                                 \
		(nifp)->ring_ofs[(index) + (nifp)->ni_tx_rings + (nifp)->ni_host_tx_rings])

/* Address of a buffer, and back. */
#define NETMAP_BUF(ring, index)                                                                    \
	((char *)(ring) + (ring)->buf_ofs + ((size_t)(index) * (ring)->nr_buf_size))
#define NETMAP_BUF_IDX(ring, buf)                                                                  \
	(((char *)(buf) - ((char *)(ring) + (ring)->buf_ofs)) / (ring)->nr_buf_size)

/* Offset of the packet in its buffer: read, write, and the address that results. */
#define NETMAP_ROFFSET(ring, slot) ((slot)->ptr & (ring)->offset_mask)
#define NETMAP_WOFFSET(ring, slot, offset)                                                         \
	do {                                                                                       \
		(slot)->ptr = ((slot)->ptr & ~(ring)->offset_mask) |                               \
			      ((uint64_t)(offset) & (ring)->offset_mask);                          \
	} while (0)
#define NETMAP_BUF_OFFSET(ring, slot)                                                              \
	(NETMAP_BUF(ring, (slot)->buf_idx) + NETMAP_ROFFSET(ring, slot))

/**
 * nm_ring_next() - the slot after slot i
 * @ring: borrowed
 * @i: below num_slots
 */
static inline uint32_t
nm_ring_next(struct netmap_ring *ring, uint32_t i)
{
	return unlikely(i + 1 == ring->num_slots) ? 0 : i + 1;
}

/**
 * nm_tx_pending() - is something handed to netmap and not yet known to be sent?
 * @ring: a transmit ring, borrowed
 *
 * As of the last sync. Return: 1 or 0.
 */
static inline int
nm_tx_pending(struct netmap_ring *ring)
{
	return nm_ring_next(ring, ring->tail) != ring->head;
}

/**
 * nm_ring_space() - how many slots the client owns
 * @ring: borrowed
 *
 * Return: 0 to num_slots - 1.
 */
static inline uint32_t
nm_ring_space(struct netmap_ring *ring)
{
	const uint32_t head = ring->head, tail = ring->tail;

	return tail >= head ? tail - head : tail + ring->num_slots - head;
}

/**
 * nm_pkt_copy() - copy a packet
 * @src: len bytes
 * @dst: room for len bytes, not overlapping
 * @len: nothing happens when negative
 */
static inline void
nm_pkt_copy(const void *src, void *dst, int len)
{
	if (likely(len > 0))
		memcpy(dst, src, (size_t)len);
}

/*
 * Messages on stderr with time, function and line. The caller includes stdio.h. ND is D switched
 * off; RD prints at most lps lines a second from each place. Formats must be string literals. A
 * program with an ND of its own keeps all three. The empty string that is passed along lets the
 * macros work without arguments after the format, in ISO C as well.
 */
#define NM_PRINT_LINE(_fmt, ...)                                                                   \
	do {                                                                                       \
		struct timeval _nm_now;                                                            \
		gettimeofday(&_nm_now, NULL);                                                      \
		fprintf(stderr, "%03d.%06d %s [%d] " _fmt "%s\n", (int)(_nm_now.tv_sec % 1000),    \
			(int)_nm_now.tv_usec, __func__, __LINE__, __VA_ARGS__);                    \
	} while (0)

#ifndef ND
#define ND(...)                                                                                    \
	do {                                                                                       \
	} while (0)

#define D(...) NM_PRINT_LINE(__VA_ARGS__, "")

#define RD(_lps, ...)                                                                              \
	do {                                                                                       \
		static time_t _nm_second;                                                          \
		static int _nm_lines;                                                              \
		struct timeval _nm_rd;                                                             \
		gettimeofday(&_nm_rd, NULL);                                                       \
		if (_nm_second != _nm_rd.tv_sec) {                                                 \
			_nm_second = _nm_rd.tv_sec;                                                \
			_nm_lines = 0;                                                             \
		}                                                                                  \
		if (_nm_lines < (_lps)) {                                                          \
			_nm_lines++;                                                               \
			NM_PRINT_LINE(__VA_ARGS__, "");                                            \
		}                                                                                  \
	} while (0)
#endif /* ND */

#endif /* _NET_NETMAP_USER_H_ */

/* Outside the guard: a header in between may have included this file without them. */
#ifdef NETMAP_WITH_LIBS
#include <net/netmap_helpers.h>
#endif
