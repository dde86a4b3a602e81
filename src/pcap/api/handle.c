/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of our pcap_t. See handle.h. */
#include "pcap/api/handle.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct unm_pcap unm_pcap_handles[PCAP_HANDLES];

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* state of free entries */

struct unm_pcap *
unm_pcap_alloc(void)
{
	struct unm_pcap *h = NULL;
	unsigned int i;

	pthread_mutex_lock(&mutex);
	for (i = 0; i < PCAP_HANDLES; i++) {
		if (unm_pcap_handles[i].state == UNM_PCAP_FREE) {
			h = &unm_pcap_handles[i];
			memset(h, 0, sizeof(*h));
			h->state = UNM_PCAP_CREATED;
			h->break_fd = -1;
			break;
		}
	}
	pthread_mutex_unlock(&mutex);
	return h;
}

void
unm_pcap_release(struct unm_pcap *h)
{
	unm_cap_close(h->cap);
	if (h->dead != NULL)
		PCAP_REAL(pcap_close)(h->dead);
	unm_program_clear(&h->filter);
	if (h->break_fd >= 0)
		close(h->break_fd);
	h->break_fd = -1;
	pthread_mutex_lock(&mutex);
	h->state = UNM_PCAP_FREE;
	pthread_mutex_unlock(&mutex);
}

int
unm_pcap_fail(struct unm_pcap *h, int status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(h->errbuf, sizeof(h->errbuf), fmt, ap);
	va_end(ap);
	return status;
}

int
unm_pcap_check_active(struct unm_pcap *h)
{
	if (h->state == UNM_PCAP_ACTIVE)
		return 0;
	return unm_pcap_fail(h, PCAP_ERROR_NOT_ACTIVATED, "This handle hasn't been activated yet");
}
