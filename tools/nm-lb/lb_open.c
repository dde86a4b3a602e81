/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opening and closing the port, the pipes and the extra buffers of the load balancer: see lb.h.
 *
 * While we run the list of extra buffers in the port's netmap_if is empty, because at any time some
 * of them sit in rings in exchange for others. So if we are killed, netmap finds nothing to free
 * twice. At a regular end as many buffers as were lent are listed again.
 */
#include "lb.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nmt_log.h"
#include "nmt_open.h"
#include "nmt_port.h"

/* The first 32 bits of a buffer on the list are the index of the next one. */
static uint32_t
list_next(const struct lb *lb, uint32_t buf_idx)
{
	uint32_t next;

	memcpy(&next, NETMAP_BUF(nmt_port_rx(lb->port, 0), buf_idx), sizeof(next));
	return next;
}

static int
take_extra_bufs(struct lb *lb, uint32_t n_wanted)
{
	const uint32_t n_got = lb->port->reg.nr_extra_bufs;
	uint32_t buf_idx = lb->port->nifp->ni_bufs_head;
	int error;

	error = lb_overflow_new(lb->n_pipes, n_got, &lb->overflow);
	if (error != 0) {
		nmt_log("cannot allocate %u overflow queues with %u slots: %s", lb->n_pipes, n_got,
			strerror(-error));
		return error;
	}
	for (uint32_t i = 0; i < n_got; i++) {
		if (buf_idx < 2 || buf_idx >= lb->n_bufs) {
			nmt_log("the list of extra buffers ends with %u after %u of %u", buf_idx, i,
				n_got);
			break;
		}
		(void)lb_overflow_add(lb->overflow, buf_idx); /* has room for n_got */
		buf_idx = list_next(lb, buf_idx);
	}
	lb->port->nifp->ni_bufs_head = 0;
	if (n_wanted > 0)
		nmt_log("obtained %u extra buffers of %u", lb_overflow_n_nodes(lb->overflow),
			n_wanted);
	return 0;
}

void
lb_finish(struct lb *lb)
{
	uint32_t head = 0;
	uint32_t buf_idx;

	if (lb->overflow == NULL)
		return;
	for (uint32_t i = 0; i < lb->n_pipes; i++) {
		struct lb_pipe *p = &lb->pipes[i];

		while (lb_overflow_len(lb->overflow, p->queue) > 0) {
			p->counters.dropped_bytes +=
				lb_overflow_drop(lb->overflow, p->queue).n_bytes;
			p->counters.dropped_packets++;
		}
	}
	while ((buf_idx = lb_overflow_take_back(lb->overflow)) != 0) { /* ends with the pool */
		memcpy(NETMAP_BUF(nmt_port_rx(lb->port, 0), buf_idx), &head, sizeof(head));
		head = buf_idx;
	}
	lb->port->nifp->ni_bufs_head = head;
	lb_overflow_free(lb->overflow);
	lb->overflow = NULL;
}

static int
open_port(struct lb *lb, const struct lb_options *opts)
{
	struct nmt_err err;
	struct nmport_d *d = nmt_port_prepare(opts->port, &err);
	int error;

	if (d == NULL) {
		error = -errno;
		nmt_log("%s", err.text);
		return error;
	}
	d->reg.nr_extra_bufs = opts->n_extra_bufs;
	error = nmt_port_open_desc(d, opts->port, &err);
	if (error != 0) {
		nmt_log("%s%s", err.text,
			error == -EIO ? " (it carries virtio-net headers, not frames)" : "");
		nmport_undo_prepare(d);
		return error;
	}
	lb->port = d;
	if (nmt_port_n_rx(d) == 0) {
		nmt_log("%s has no receive rings, nothing can be read from it", opts->port);
		return -EINVAL;
	}
	lb->n_bufs = nmt_port_n_bufs(d);
	return 0;
}

/* What makes a pipe unfit although it could be opened. */
static int
check_pipe(const struct lb *lb, const struct nmport_d *d, const char *spec)
{
	if (d->mem != lb->port->mem) {
		nmt_log("%s is in memory region %u, %s in region %u: packets cannot be handed over "
			"without copying; close other users of the pipe, or choose another name",
			spec, d->reg.nr_mem_id, lb->port->hdr.nr_name, lb->port->reg.nr_mem_id);
		return -EINVAL;
	}
	if (nmt_port_n_tx(d) == 0) {
		nmt_log("%s has no transmit ring", spec);
		return -EINVAL;
	}
	if (nmt_port_tx(d, 0)->offset_mask != nmt_port_rx(lb->port, 0)->offset_mask) {
		nmt_log("%s and %s do not agree on packet offsets; close the program that asked "
			"for them",
			spec, lb->port->hdr.nr_name);
		return -EINVAL;
	}
	return 0;
}

static int
open_pipe(struct lb *lb, struct lb_pipe *p)
{
	const char *name = p->spec->name;
	const bool is_vale = strncmp(name, "vale", 4) == 0 && strchr(name, ':') != NULL;
	char spec[LB_SPEC_SIZE];
	struct nmt_err err;
	int error;

	snprintf(spec, sizeof(spec), "%s%s{%u/xT@%u", is_vale ? "" : "netmap:", name, p->id,
		lb->port->reg.nr_mem_id);
	p->port = nmt_port_open(spec, &err);
	if (p->port == NULL) {
		error = -errno;
		nmt_log("%s%s", err.text,
			error == -EBUSY ? " (another program has this end of the pipe)" : "");
		return error;
	}
	error = check_pipe(lb, p->port, spec);
	if (error != 0)
		return error;
	/* Packets that an earlier instance left in the pipe lie between here and head. */
	p->ring = nmt_port_tx(p->port, 0);
	p->head = p->ring->head;
	p->tail = p->limit = p->ring->tail;
	p->released = nm_ring_next(p->ring, p->tail);
	nmt_log("opened %s, %u slots", spec, p->ring->num_slots);
	return 0;
}

/* Describe the pipes of all groups; nothing is open yet. */
static int
lay_out_pipes(struct lb *lb, const struct lb_options *opts)
{
	lb->pipes = calloc(opts->n_pipes, sizeof(*lb->pipes));
	if (lb->pipes == NULL) {
		nmt_log("no memory for %u pipes", opts->n_pipes);
		return -ENOMEM;
	}
	lb->n_groups = opts->n_groups;
	for (uint32_t i = 0; i < opts->n_groups; i++) {
		const struct lb_group_spec *spec = &opts->groups[i];

		lb->groups[i].pipes = &lb->pipes[lb->n_pipes];
		lb->groups[i].n_pipes = spec->n_pipes;
		for (uint32_t k = 0; k < spec->n_pipes; k++) {
			lb->pipes[lb->n_pipes] = (struct lb_pipe){
				.queue = lb->n_pipes,
				.spec = spec,
				.id = spec->first_id + k,
			};
			lb->n_pipes++;
		}
	}
	return 0;
}

int
lb_open(struct lb *lb, const struct lb_options *opts)
{
	int error;

	*lb = (struct lb){.port = NULL};
	error = lay_out_pipes(lb, opts);
	if (error == 0)
		error = open_port(lb, opts);
	if (error == 0)
		error = take_extra_bufs(lb, opts->n_extra_bufs);
	for (uint32_t i = 0; error == 0 && i < lb->n_pipes; i++)
		error = open_pipe(lb, &lb->pipes[i]);
	return error;
}

void
lb_close(struct lb *lb)
{
	lb_finish(lb);
	for (uint32_t i = 0; i < lb->n_pipes; i++)
		nmport_close(lb->pipes[i].port);
	nmport_close(lb->port);
	lb->port = NULL;
	lb->n_pipes = 0;
	free(lb->pipes);
	lb->pipes = NULL;
}
