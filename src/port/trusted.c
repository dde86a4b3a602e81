/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of trusted.h. */
#include "port/trusted.h"

#include <errno.h>
#include <pthread.h>

struct unm_trusted unm_trusted_table[UNM_TRUSTED_MAX];
uint32_t unm_trusted_used;
uint32_t unm_trusted_hit;

static pthread_mutex_t writers = PTHREAD_MUTEX_INITIALIZER;

int
unm_trusted_add(const void *start, size_t len)
{
	const uint64_t addr = (uint64_t)(uintptr_t)start;
	uint32_t i;

	if (len == 0 || addr + len < addr)
		return -EINVAL;
	pthread_mutex_lock(&writers);
	for (i = 0; i < unm_trusted_used && unm_trusted_table[i].len != 0; i++)
		; /* the first free one */
	if (i < UNM_TRUSTED_MAX) {
		UNM_WRITE_ONCE(unm_trusted_table[i].start, addr);
		unm_store_release64(&unm_trusted_table[i].len, len);
		if (i == unm_trusted_used)
			unm_store_release(&unm_trusted_used, i + 1);
	}
	pthread_mutex_unlock(&writers);
	return i < UNM_TRUSTED_MAX ? 0 : -ENOSPC;
}

void
unm_trusted_remove(const void *start)
{
	const uint64_t addr = (uint64_t)(uintptr_t)start;
	uint32_t i;

	pthread_mutex_lock(&writers);
	for (i = 0; i < unm_trusted_used; i++) {
		if (unm_trusted_table[i].len != 0 && unm_trusted_table[i].start == addr) {
			unm_store_release64(&unm_trusted_table[i].len, 0);
			break;
		}
	}
	pthread_mutex_unlock(&writers);
}

bool
unm_trusted_has_slow(uint64_t addr, uint64_t len)
{
	const uint32_t n = unm_load_acquire(&unm_trusted_used);
	uint32_t i;

	for (i = 0; i < n; i++) {
		if (unm_trusted_entry_has(&unm_trusted_table[i], addr, len)) {
			UNM_WRITE_ONCE(unm_trusted_hit, i);
			return true;
		}
	}
	return false;
}
