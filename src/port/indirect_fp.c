/* SPDX-License-Identifier: BSD-2-Clause */
/* Fetching indirect payload. See indirect.h. */
/* Syscalls: process_vm_readv */
#include "port/indirect.h"

#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ring/slot.h"

struct bounce {
	struct iovec remote[UNM_INDIRECT_BUFS];
	struct iovec local[UNM_INDIRECT_BUFS];
	uint8_t bufs[];
};

const uint8_t *
unm_indirect_frag(struct unm_vale_src *s, const struct unm_bring *r, const struct netmap_slot *v,
	unsigned int *n)
{
	struct bounce *b = (struct bounce *)(void *)s->bounce;

	if (v->len > r->buf_size || *n >= UNM_INDIRECT_BUFS)
		return NULL;
	if (b == NULL) {
		b = malloc(sizeof(*b) + (size_t)UNM_INDIRECT_BUFS * r->buf_size);
		if (b == NULL)
			return NULL;
		s->bounce = (uint8_t *)b;
	}
	b->remote[*n].iov_base = (void *)(uintptr_t)v->ptr;
	b->remote[*n].iov_len = v->len;
	b->local[*n].iov_base = b->bufs + (size_t)*n * r->buf_size;
	b->local[*n].iov_len = v->len;
	return b->local[(*n)++].iov_base;
}

/* The frame that uses the payload at @data has lost it. */
static void
void_frame(struct unm_vale_src *s, const uint8_t *data)
{
	unsigned int i, k;

	for (i = 0; i < s->n_frames; i++) {
		struct unm_frame *f = &s->frames[i];

		for (k = 0; k < f->n_frags; k++) {
			if (s->frags[f->frag + k].data == data) {
				f->n_frags = 0;
				f->fault = UNM_DROP_BAD_SLOT + 1;
				return;
			}
		}
	}
}

void
unm_indirect_fetch(struct unm_vale_src *s, unsigned int n)
{
	struct bounce *b = (struct bounce *)(void *)s->bounce;
	unsigned int i = 0;

	while (i < n) { /* each turn gets past at least one payload */
		ssize_t got =
			process_vm_readv(getpid(), &b->local[i], n - i, &b->remote[i], n - i, 0);

		/* The kernel stops at the first bad address, possibly inside a payload. */
		while (i < n && got >= (ssize_t)b->local[i].iov_len) {
			got -= (ssize_t)b->local[i].iov_len;
			i++;
		}
		if (i < n) {
			void_frame(s, b->local[i].iov_base);
			i++;
		}
	}
}

bool
unm_indirect_read(uint64_t addr, uint32_t len, void *dst)
{
	const struct iovec remote = {(void *)(uintptr_t)addr, len}, local = {dst, len};

	return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)len;
}
