/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a name to an open port: pcap_create, the options, pcap_activate, pcap_open_live, pcap_close.
 *
 * Options that mean nothing for a port are accepted as the system's library accepts them: every
 * port is promiscuous, and frames are always handed out without waiting for a full buffer.
 */
#include "pcap/api/handle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#define SLOT_BYTES                                                                                 \
	128 /* of buffer_size, one slot: what a frame of 60 bytes takes in the kernel's buffer */

pcap_t *
pcap_create(const char *name, char *errbuf)
{
	struct unm_pcap *h;

	if (!unm_cap_is_name(name))
		return PCAP_REAL(pcap_create)(name, errbuf);
	if (strlen(name) >= PCAP_NAME_SIZE) {
		snprintf(errbuf, PCAP_ERRBUF_SIZE, "%.64s...: the name is too long", name);
		return NULL;
	}
	h = unm_pcap_alloc();
	if (h == NULL) {
		snprintf(errbuf, PCAP_ERRBUF_SIZE, "more than %d netmap ports in one process",
			PCAP_HANDLES);
		return NULL;
	}
	strcpy(h->name, name);
	h->snaplen = PCAP_MAX_SNAPLEN;
	h->precision = PCAP_TSTAMP_PRECISION_MICRO;
	h->direction = PCAP_D_INOUT;
	return unm_pcap_public(h);
}

void
pcap_close(pcap_t *p)
{
	struct unm_pcap *h = unm_pcap_of(p);

	if (h == NULL)
		PCAP_REAL(pcap_close)(p);
	else
		unm_pcap_release(h);
}

/* Options may be set before activation only. */
static int
check_created(struct unm_pcap *h)
{
	if (h->state == UNM_PCAP_CREATED)
		return 0;
	return unm_pcap_fail(
		h, PCAP_ERROR_ACTIVATED, "can't perform  operation on activated capture");
}

#define SET_OPTION(name, type, statement)                                                          \
	int name(pcap_t *p, type value)                                                            \
	{                                                                                          \
		struct unm_pcap *h = unm_pcap_of(p);                                               \
		int ret;                                                                           \
                                                                                                   \
		if (h == NULL)                                                                     \
			return PCAP_REAL(name)(p, value);                                          \
		ret = check_created(h);                                                            \
		if (ret != 0)                                                                      \
			return ret;                                                                \
		statement;                                                                         \
		return 0;                                                                          \
	}

SET_OPTION(pcap_set_snaplen, int, h->snaplen = value)
SET_OPTION(pcap_set_promisc, int, (void)value)
SET_OPTION(pcap_set_rfmon, int, h->rfmon = value != 0)
SET_OPTION(pcap_set_timeout, int, h->timeout_ms = value)
SET_OPTION(pcap_set_immediate_mode, int, h->immediate = value != 0)
SET_OPTION(pcap_set_protocol_linux, int, (void)value)
SET_OPTION(pcap_set_buffer_size, int, h->buffer_size = value > 0 ? value : h->buffer_size)

int
pcap_can_set_rfmon(pcap_t *p)
{
	return unm_pcap_of(p) == NULL ? PCAP_REAL(pcap_can_set_rfmon)(p) : 0;
}

/* The only clock is that of the host. */
int
pcap_set_tstamp_type(pcap_t *p, int type)
{
	struct unm_pcap *h = unm_pcap_of(p);
	int ret;

	if (h == NULL)
		return PCAP_REAL(pcap_set_tstamp_type)(p, type);
	ret = check_created(h);
	if (ret != 0)
		return ret;
	return type == PCAP_TSTAMP_HOST ? 0 : PCAP_WARNING_TSTAMP_TYPE_NOTSUP;
}

int
pcap_list_tstamp_types(pcap_t *p, int **list)
{
	if (unm_pcap_of(p) == NULL)
		return PCAP_REAL(pcap_list_tstamp_types)(p, list);
	*list = NULL;
	return 0;
}

int
pcap_set_tstamp_precision(pcap_t *p, int precision)
{
	struct unm_pcap *h = unm_pcap_of(p);
	int ret;

	if (h == NULL)
		return PCAP_REAL(pcap_set_tstamp_precision)(p, precision);
	ret = check_created(h);
	if (ret != 0)
		return ret;
	if (precision != PCAP_TSTAMP_PRECISION_MICRO && precision != PCAP_TSTAMP_PRECISION_NANO)
		return PCAP_ERROR_TSTAMP_PRECISION_NOTSUP;
	h->precision = precision;
	return 0;
}

int
pcap_get_tstamp_precision(pcap_t *p)
{
	struct unm_pcap *h = unm_pcap_of(p);

	return h == NULL ? PCAP_REAL(pcap_get_tstamp_precision)(p) : h->precision;
}

static int
status_of(int error)
{
	switch (error) {
	case -ENOENT:
	case -ENXIO:
	case -ENODEV:
		return PCAP_ERROR_NO_SUCH_DEVICE;
	case -EACCES:
	case -EPERM:
		return PCAP_ERROR_PERM_DENIED;
	default:
		return PCAP_ERROR;
	}
}

static int
activate(struct unm_pcap *h)
{
	const struct unm_cap_opts opts = {
		.name = h->name,
		.n_slots = ((uint32_t)h->buffer_size + SLOT_BYTES - 1) / SLOT_BYTES,
	};
	char why[UNM_CAP_WHY_SIZE];
	int ret;

	if (h->rfmon)
		return PCAP_ERROR_RFMON_NOTSUP;
	if (h->snaplen <= 0 || h->snaplen > PCAP_MAX_SNAPLEN)
		h->snaplen = PCAP_MAX_SNAPLEN;
	ret = unm_cap_open(&h->cap, &opts, why);
	if (ret < 0)
		return unm_pcap_fail(h, status_of(ret), "%s", why);
	h->dead = PCAP_REAL(pcap_open_dead_with_tstamp_precision)(
		DLT_EN10MB, h->snaplen, (u_int)h->precision);
	h->break_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (h->dead != NULL && h->break_fd >= 0) {
		h->state = UNM_PCAP_ACTIVE;
		return 0;
	}
	unm_cap_close(h->cap);
	h->cap = NULL;
	return unm_pcap_fail(h, PCAP_ERROR, "%s: %s", h->name,
		h->dead == NULL ? "out of memory" : strerror(errno));
}

int
pcap_activate(pcap_t *p)
{
	struct unm_pcap *h = unm_pcap_of(p);
	int ret;

	if (h == NULL)
		return PCAP_REAL(pcap_activate)(p);
	ret = check_created(h);
	if (ret != 0)
		return ret;
	h->errbuf[0] = '\0';
	ret = activate(h);
	if (ret < 0 && h->errbuf[0] == '\0')
		unm_pcap_fail(h, ret, "%s", PCAP_REAL(pcap_statustostr)(ret));
	return ret;
}

pcap_t *
pcap_open_live(const char *name, int snaplen, int promisc, int timeout_ms, char *errbuf)
{
	struct unm_pcap *h;
	pcap_t *p;
	int ret;

	if (!unm_cap_is_name(name))
		return PCAP_REAL(pcap_open_live)(name, snaplen, promisc, timeout_ms, errbuf);
	p = pcap_create(name, errbuf);
	if (p == NULL)
		return NULL;
	h = unm_pcap_of(p);
	h->snaplen = snaplen;
	h->timeout_ms = timeout_ms;
	ret = pcap_activate(p);
	if (ret >= 0)
		return p;
	/* The texts of ours begin with what could not be opened. */
	snprintf(errbuf, PCAP_ERRBUF_SIZE, "%.255s", h->errbuf);
	pcap_close(p);
	return NULL;
}
