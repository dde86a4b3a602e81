/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Application descriptors: for each open of /dev/netmap netmapd holds the end D of a socket pair.
 *
 * D hangs up when the last copy of the application's end is closed, by whatever process and for
 * whatever reason: that is the unregistration. What may lie in the socket's queue is not netmapd's
 * business.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/server.h"
#include "shm/desc_id.h"

static uint32_t
bucket_of(const uint8_t *id)
{
	uint32_t v;

	memcpy(&v, id, sizeof(v)); /* random by construction */
	return v % UNM_DESC_HASH;
}

struct unm_desc *
unm_desc_find(struct unm_server *srv, const uint8_t *id)
{
	struct unm_desc *d;

	for (d = srv->descs[bucket_of(id)]; d != NULL; d = d->next) {
		if (memcmp(d->id, id, sizeof(d->id)) == 0)
			return d;
	}
	return NULL;
}

struct unm_desc *
unm_desc_find_held(struct unm_server *srv, const uint8_t *id, int proof)
{
	struct unm_desc *d = unm_desc_find(srv, id);
	const uint64_t cookie = unm_desc_cookie(proof);

	return d != NULL && cookie != 0 && (cookie == d->cookies[0] || cookie == d->cookies[1])
		       ? d
		       : NULL;
}

static void
desc_hangup(struct unm_source *src, uint32_t events)
{
	struct unm_desc *d =
		(struct unm_desc *)(void *)((char *)src - offsetof(struct unm_desc, src));
	struct unm_server *srv = d->srv;

	(void)events; /* nothing but a hang-up or an error is reported */
	unm_desc_close(d);
	unm_server_arm_timer(srv);
}

int
unm_desc_add(struct unm_server *srv, int fd, int c_fd, const uint8_t *id, pid_t pid,
	struct unm_desc **out)
{
	struct unm_desc *d;
	int ret = unm_desc_id_check(fd, id);

	if (ret < 0)
		return ret;
	if (unm_desc_find(srv, id) != NULL)
		return -EEXIST;
	d = calloc(1, sizeof(*d));
	if (d == NULL)
		return -ENOMEM;
	d->src.fd = fd;
	d->src.ready = desc_hangup;
	d->srv = srv;
	memcpy(d->id, id, sizeof(d->id));
	d->cookies[0] = unm_desc_cookie(fd);
	d->cookies[1] = unm_desc_cookie(c_fd);
	d->pid = pid;
	d->binding.wake_fd = -1;
	ret = unm_loop_add_hup(&srv->loop, &d->src);
	if (ret < 0) {
		free(d);
		return ret;
	}
	d->next = srv->descs[bucket_of(id)];
	srv->descs[bucket_of(id)] = d;
	srv->n_descs++;
	*out = d;
	return 0;
}

void
unm_desc_close(struct unm_desc *d)
{
	struct unm_server *srv = d->srv;
	struct unm_desc **pp;

	unm_loop_del_hup(&srv->loop, &d->src);
	unm_pending_drop(&srv->dom, &d->pending);
	unm_unbind(&srv->dom, &d->binding);
	for (pp = &srv->descs[bucket_of(d->id)]; *pp != NULL; pp = &(*pp)->next) {
		if (*pp == d) {
			*pp = d->next;
			break;
		}
	}
	srv->n_descs--;
	close(d->src.fd);
	free(d);
}
