/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fake_dev.h - a /dev/netmap inside the test, in place of the real calls.
 *
 * The test is linked with --wrap for open, ioctl, mmap, munmap and close: what concerns
 * /dev/netmap, or the descriptor it returned, is answered here and recorded; all else goes to libc.
 * Descriptors are numbers that libc never gives out. Safe for several threads.
 */
#ifndef FAKE_DEV_H
#define FAKE_DEV_H

#include <net/netmap.h>

#include <stddef.h>

/* First descriptor of the fake device. */
#define FAKE_FD 100000

/**
 * struct fake_dev - how to answer, and what happened
 * @open_errno: fail open with it, if not 0
 * @ioctl_errno: fail the next ioctl with it, and write the options' statuses, if not 0
 * @mmap_errno: fail mmap with it, if not 0
 * @option_status: status that a failing request gives to every option
 * @mem: the region to map
 * @memsize: bytes of it
 * @mem_id: region id in every answer
 * @offset: nr_offset in every answer
 * @n_tx: transmit rings in every answer
 * @n_rx: receive rings in every answer
 * @n_open: descriptors open now
 * @n_opened: descriptors ever opened
 * @n_mapped: mappings now
 * @n_mmaps: mappings ever made
 * @hdr: last NIOCCTRL
 * @reg: its body, if it registered
 * @legacy: last NIOCREGIF, as it came
 * @ext_mem: address in its EXTMEM option, or 0
 */
struct fake_dev {
	int open_errno;
	int ioctl_errno;
	int mmap_errno;
	uint32_t option_status;

	void *mem;
	size_t memsize;
	uint16_t mem_id;
	uint64_t offset;
	uint16_t n_tx;
	uint16_t n_rx;

	int n_open;
	int n_opened;
	int n_mapped;
	int n_mmaps;
	struct nmreq_header hdr;
	struct nmreq_register reg;
	struct nmreq legacy;
	uint64_t ext_mem;
};

extern struct fake_dev fake_dev;

#endif /* FAKE_DEV_H */
