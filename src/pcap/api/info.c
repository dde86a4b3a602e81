/* SPDX-License-Identifier: BSD-2-Clause */
/* Questions about a handle, and switches that may be set while it is open. */
#include "pcap/api/handle.h"

#include <stdlib.h>
#include <string.h>

/* What the question says of an active handle of ours; others are the system's. */
#define ANSWER(type, name, value)                                                                  \
	type name(pcap_t *p)                                                                       \
	{                                                                                          \
		struct unm_pcap *h = unm_pcap_of(p);                                               \
		int ret;                                                                           \
                                                                                                   \
		if (h == NULL)                                                                     \
			return PCAP_REAL(name)(p);                                                 \
		ret = unm_pcap_check_active(h);                                                    \
		return ret != 0 ? ret : (value);                                                   \
	}

ANSWER(int, pcap_datalink, DLT_EN10MB)
ANSWER(int, pcap_datalink_ext, PCAP_REAL(pcap_datalink_ext)(h->dead))
ANSWER(int, pcap_snapshot, h->snaplen)
ANSWER(int, pcap_bufsize, (int)unm_cap_buffer_size(h->cap))
ANSWER(int, pcap_is_swapped, PCAP_REAL(pcap_is_swapped)(h->dead))
ANSWER(int, pcap_major_version, PCAP_REAL(pcap_major_version)(h->dead))
ANSWER(int, pcap_minor_version, PCAP_REAL(pcap_minor_version)(h->dead))

char *
pcap_geterr(pcap_t *p)
{
	struct unm_pcap *h = unm_pcap_of(p);

	return h == NULL ? PCAP_REAL(pcap_geterr)(p) : h->errbuf;
}

void
pcap_perror(pcap_t *p, const char *prefix)
{
	struct unm_pcap *h = unm_pcap_of(p);

	if (h == NULL)
		PCAP_REAL(pcap_perror)(p, prefix);
	else
		fprintf(stderr, "%s: %s\n", prefix, h->errbuf);
}

/* No file is being read. */
FILE *
pcap_file(pcap_t *p)
{
	return unm_pcap_of(p) == NULL ? PCAP_REAL(pcap_file)(p) : NULL;
}

int
pcap_fileno(pcap_t *p)
{
	struct unm_pcap *h = unm_pcap_of(p);

	if (h == NULL)
		return PCAP_REAL(pcap_fileno)(p);
	return h->cap != NULL ? unm_cap_fd(h->cap) : -1;
}

int
pcap_get_selectable_fd(pcap_t *p)
{
	return unm_pcap_of(p) == NULL ? PCAP_REAL(pcap_get_selectable_fd)(p) : pcap_fileno(p);
}

/* The descriptor is enough. */
const struct timeval *
pcap_get_required_select_timeout(pcap_t *p)
{
	return unm_pcap_of(p) == NULL ? PCAP_REAL(pcap_get_required_select_timeout)(p) : NULL;
}

int
pcap_list_datalinks(pcap_t *p, int **list)
{
	struct unm_pcap *h = unm_pcap_of(p);
	int ret;

	if (h == NULL)
		return PCAP_REAL(pcap_list_datalinks)(p, list);
	ret = unm_pcap_check_active(h);
	if (ret != 0)
		return ret;
	*list = malloc(sizeof(**list)); /* for pcap_free_datalinks() */
	if (*list == NULL)
		return unm_pcap_fail(h, PCAP_ERROR, "out of memory");
	(*list)[0] = DLT_EN10MB;
	return 1;
}

int
pcap_set_datalink(pcap_t *p, int dlt)
{
	struct unm_pcap *h = unm_pcap_of(p);
	const char *name;
	int ret;

	if (h == NULL)
		return PCAP_REAL(pcap_set_datalink)(p, dlt);
	ret = unm_pcap_check_active(h);
	if (ret != 0 || dlt == DLT_EN10MB)
		return ret;
	name = PCAP_REAL(pcap_datalink_val_to_name)(dlt);
	if (name != NULL)
		return unm_pcap_fail(
			h, PCAP_ERROR, "%s is not one of the DLTs supported by this device", name);
	return unm_pcap_fail(
		h, PCAP_ERROR, "DLT %d is not one of the DLTs supported by this device", dlt);
}

int
pcap_getnonblock(pcap_t *p, char *errbuf)
{
	struct unm_pcap *h = unm_pcap_of(p);
	int ret;

	if (h == NULL)
		return PCAP_REAL(pcap_getnonblock)(p, errbuf);
	ret = unm_pcap_check_active(h);
	if (ret == 0)
		return h->nonblock;
	snprintf(errbuf, PCAP_ERRBUF_SIZE, "%.255s", h->errbuf);
	return ret;
}

int
pcap_setnonblock(pcap_t *p, int nonblock, char *errbuf)
{
	struct unm_pcap *h = unm_pcap_of(p);

	if (h == NULL)
		return PCAP_REAL(pcap_setnonblock)(p, nonblock, errbuf);
	h->nonblock = nonblock != 0;
	return 0;
}

/* Frames of a monitored port carry their direction; a port of one's own only receives. */
int
pcap_setdirection(pcap_t *p, pcap_direction_t direction)
{
	struct unm_pcap *h = unm_pcap_of(p);
	int ret;

	if (h == NULL)
		return PCAP_REAL(pcap_setdirection)(p, direction);
	ret = unm_pcap_check_active(h);
	if (ret != 0)
		return ret;
	if (direction != PCAP_D_IN && direction != PCAP_D_OUT && direction != PCAP_D_INOUT)
		return unm_pcap_fail(h, PCAP_ERROR, "Invalid direction");
	if (direction == PCAP_D_OUT && !unm_cap_is_monitor(h->cap))
		return unm_pcap_fail(h, PCAP_ERROR,
			"%.64s was not in use, so it is this program's own port: nothing goes out "
			"there but what the program sends",
			h->name);
	h->direction = direction;
	return 0;
}

int
pcap_stats(pcap_t *p, struct pcap_stat *st)
{
	struct unm_pcap *h = unm_pcap_of(p);
	struct unm_cap_counters c;
	int ret;

	if (h == NULL)
		return PCAP_REAL(pcap_stats)(p, st);
	ret = unm_pcap_check_active(h);
	if (ret != 0)
		return ret;
	unm_cap_get_counters(h->cap, &c);
	memset(st, 0, sizeof(*st));
	st->ps_recv = (u_int)h->accepted;
	st->ps_drop = (u_int)(c.missed + c.invalid);
	return 0;
}
