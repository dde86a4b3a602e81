/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * unetmap.h - what this implementation offers beyond netmap's API, for device servers.
 *
 * Functions that return int give 0, or -1 with errno set.
 */
#ifndef UNETMAP_H_
#define UNETMAP_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/**
 * unetmap_trust_memory() - let payload in this memory be read where it is
 * @start: address
 * @len: bytes
 *
 * The payload of an NS_INDIRECT slot is at an address of the program's. As that may be a bad one,
 * NIOCTXSYNC has the kernel fetch the bytes, in one system call more and with one copy more. What
 * lies wholly in memory named here is read directly instead, so the program answers for it: all of
 * it can be read as long as it is named, or a handler of the program's deals with SIGSEGV and
 * SIGBUS. A receiver's lock is held meanwhile, so nobody may have the file of that memory who would
 * punch holes into it: an access sleeps in the kernel until a hole is there. Besides, such a slot
 * may be longer than a buffer.
 *
 * Thread: any, but not while another one is in a sync with slots that point into this memory.
 * Errors: EINVAL empty, or it wraps around; ENOSPC too many ranges.
 */
int unetmap_trust_memory(const void *start, size_t len);

/** unetmap_distrust_memory() - undo it, by the same @start, before the memory goes away */
void unetmap_distrust_memory(const void *start);

/** struct unetmap_part - a run of bytes */
struct unetmap_part {
	const void *data;
	size_t len; /* not 0 */
};

/** struct unetmap_packet - a packet on its way, virtio-net header included if the port has one */
struct unetmap_packet {
	const struct unetmap_part *parts;
	uint32_t n_parts;
	uint32_t len; /* of all parts */
};

/**
 * unetmap_sink_fn - takes packets instead of a receive ring
 * @arg: of unetmap_set_sink()
 * @packets: @n of them, at least one; valid until it returns
 *
 * Runs within the NIOCTXSYNC of a sender in the same thread. May read the packets where they are,
 * once each as their sender may be changing them; must not use netmap, nor keep the thread for
 * longer than the copies take.
 *
 * Return: how many it has taken, the first ones. The others, and those that come before the ring
 * has been read to its end, go into the ring as usual.
 */
typedef uint32_t unetmap_sink_fn(void *arg, const struct unetmap_packet *packets, uint32_t n);

/**
 * unetmap_set_sink() - have packets from this thread's own ports handed over
 * @fd: bound to one receive ring of a VALE port
 * @fn: NULL to end it, which is to be done by the same thread before @fd is closed
 *
 * Senders in other threads and processes use the ring. So a packet between two ports of a thread is
 * copied once, from where it is to where it shall be, not into a ring in between.
 *
 * Errors: EBADF no bound netmap descriptor; EOPNOTSUPP no VALE port, or not one ring; ENOSPC.
 */
int unetmap_set_sink(int fd, unetmap_sink_fn *fn, void *arg);

/**
 * struct unetmap_rx_counters - what has happened to a descriptor's receive rings
 * @packets: put into them
 * @bytes: in those
 * @missed: lost because a ring was full
 *
 * Sums over the rings that are bound; they count from the port's creation.
 */
struct unetmap_rx_counters {
	uint64_t packets;
	uint64_t bytes;
	uint64_t missed;
};

/**
 * unetmap_get_rx_counters() - read them, without asking netmapd
 * @fd: bound
 * @out: written on success
 *
 * Thread: any. Errors: EBADF no bound netmap descriptor.
 */
int unetmap_get_rx_counters(int fd, struct unetmap_rx_counters *out);

/**
 * unetmap_sleeps_in_poll() - this thread waits for netmap descriptors by poll(2) and its kin only
 *
 * A thread may also sleep where the library does not see it (a system call of its own, io_uring).
 * To find that out, it counts the thread's context switches around empty NIOCRXSYNCs. This spares
 * the system calls for it.
 *
 * Errors: ENOMEM.
 */
int unetmap_sleeps_in_poll(void);

/**
 * unetmap_wait_at_most() - how long this process waits for netmapd where it moves packets
 * @ms: not 0; 2000 if nothing is said
 *
 * A sync may need the memory of a port that it has not sent to before, and asks netmapd. One that is
 * stopped, or far too busy, does not answer in time; then packets to that port are lost until it does,
 * and there is no more waiting meanwhile. Thread: any. Errors: EINVAL.
 */
int unetmap_wait_at_most(unsigned int ms);

/**
 * unetmap_hang_up() - for a program that is about to end: netmapd has little time for each request
 * @ms: how much; 0: none
 *
 * Closing ports may take requests, and a netmapd that is stopped does not answer them for 20 s each.
 * From here on, once it takes longer than @ms, all requests of the process fail with EIO, those under way
 * as well; what it holds goes back when it ends. Thread: any.
 */
void unetmap_hang_up(unsigned int ms);

struct sockaddr_un;

/**
 * unetmap_seal_address() - a UNIX socket's address that can't change any more
 * @path: of the socket; NULL: netmapd's, to which the process must have been connected
 *
 * For programs that let a seccomp filter allow connect(2) by certain pointers only, as it can't see
 * what they point to. The address is on a read-only page of its own, which from Linux 6.10 on can't
 * be mapped anew either; it stays until the process ends. From the first call on the library itself
 * connects by sealed addresses only.
 *
 * Return: the address, or NULL. Errors: EINVAL too long or empty, or no netmapd known; ENOMEM;
 * ENOSPC too many.
 */
const struct sockaddr_un *unetmap_seal_address(const char *path);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif /* UNETMAP_H_ */
