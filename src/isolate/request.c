/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NIOCCTRL of an isolated client. See broker.h.
 *
 * The request is taken apart into a copy of ours, checked against the policy, and asked again, by
 * us, of netmapd. What it says about others is left out, what would change something of others is
 * refused.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client/ctrl.h"
#include "client/device.h"
#include "client/session.h"
#include "isolate/broker.h"
#include "shm/pools_info.h"

#define MAX_LISTED     65536u /* ports that a list is looked through for one that may be seen */
#define LISTED_AT_ONCE 16u    /* that count as one request: netmapd only looks them up */

/* A request as we ask it. */
struct copy {
	struct nmreq_header hdr;
	char body[UNM_REQ_MAXSIZE] __attribute__((aligned(8)));
	struct nmreq_opt_offsets offsets;
};

struct rule {
	int (*handle)(struct unm_irequest *r, struct copy *c);
	size_t body_len;
};

static int
refuse(struct unm_irequest *r, struct copy *c)
{
	(void)c;
	return unm_fail(&r->why, -EPERM,
		"isolated clients may open ports and ask about them, but not make, attach or "
		"delete any: "
		"that is done outside, with nmctl or vale-ctl");
}

#define MONITOR_FLAGS (NR_MONITOR_TX | NR_MONITOR_RX | NR_ZCOPY_MON)

static bool
has_host_rings(uint32_t mode)
{
	return mode == NR_REG_SW || mode == NR_REG_NIC_SW || mode == NR_REG_ONE_SW;
}

static bool
has_nic_rings(uint32_t mode)
{
	return mode != NR_REG_SW && mode != NR_REG_ONE_SW;
}

/* The port by itself, whatever is to be done with it. */
static bool
is_allowed(const struct unm_policy *p, const char *name, uint32_t mode)
{
	if (!unm_policy_is_interface(name))
		return unm_policy_allows(p, name);
	return (!has_nic_rings(mode) || unm_policy_names(p, name, "")) &&
	       (!has_host_rings(mode) || unm_policy_names(p, name, "^"));
}

static int
check_name(struct unm_irequest *r, const struct copy *c, uint32_t mode)
{
	const char *name = c->hdr.nr_name;

	if (strncmp(name, "tap:", 4) == 0)
		return unm_fail(&r->why, -EOPNOTSUPP,
			"'%s': isolated clients have no TAPs: attach it to a switch outside "
			"(nmctl attach) and open a port of that switch",
			name);
	if (unm_policy_has_path(name))
		return unm_fail(&r->why, -EACCES,
			"'%s': only interfaces have %% or / in their names, which allow= names in "
			"full",
			name);
	if (is_allowed(&r->br->policy, name, mode))
		return 0;
	if (unm_policy_is_interface(name))
		return unm_fail(&r->why, -EACCES,
			"the interface '%s' is not allowed by name: that takes allow=netmap:%s%s "
			"with "
			"nmctl isolate create",
			name, name, has_host_rings(mode) ? "^" : "");
	return unm_fail(&r->why, -EACCES,
		"'%s' is not among the ports that this socket allows (nmctl isolate show %s)", name,
		r->br->name);
}

/* To see what passes others' ports takes more than being allowed to open them. */
static int
check_monitor(struct unm_irequest *r, const struct copy *c, uint64_t flags)
{
	char letters[3] = "";

	if (flags & NR_ZCOPY_MON)
		return unm_fail(&r->why, -EOPNOTSUPP,
			"isolated clients can't take the buffers of others: monitor by copy "
			"(without "
			"z)");
	if (flags & NR_MONITOR_RX)
		strcat(letters, "r");
	if (flags & NR_MONITOR_TX)
		strcat(letters, "t");
	if (unm_policy_allows_monitor(&r->br->policy, c->hdr.nr_name, letters))
		return 0;
	return unm_fail(&r->why, -EACCES,
		"'%s/%s': monitors are not allowed by name: that takes allow=%s%s/%s with nmctl "
		"isolate create",
		c->hdr.nr_name, letters, unm_policy_is_interface(c->hdr.nr_name) ? "netmap:" : "",
		c->hdr.nr_name, letters);
}

/* Ask netmapd, on a descriptor that stands for no port. */
static int
ask_for_free(struct unm_irequest *r, struct copy *c)
{
	struct unm_desc *scratch = unm_device_hold(r->br->scratch_fd);
	int err = -EIO;

	if (scratch != NULL) {
		err = unm_ctrl_within(scratch, (uintptr_t)&c->hdr, unm_broker_room(r->br));
		unm_file_put(&scratch->file);
	}
	return err < 0 ? unm_fail(&r->why, err, "%s", unm_last_error()) : 0;
}

static void
charge(struct unm_irequest *r)
{
	unm_bucket_take(&r->s->requests, 1);
	unm_bucket_take(&r->br->requests, 1);
}

static int
ask(struct unm_irequest *r, struct copy *c)
{
	charge(r);
	return ask_for_free(r, c);
}

/* --- REGISTER --- */

static bool
is_bound_to(const struct unm_idesc *d, const char *name)
{
	const struct unm_ibinding *b = d->binding;

	return b != NULL && strncmp(b->pump.bport->seg->ports[b->pump.bport->info.port].name, name,
				    NETMAP_REQ_IFNAMSIZ) == 0;
}

/* A port has its memory for one client: another process would share it. */
static int
check_other_users(struct unm_irequest *r, const struct copy *c)
{
	const struct unm_idesc *d;

	for (d = r->br->descs; d != NULL; d = d->next) {
		if (d->session_id != r->s->id && is_bound_to(d, c->hdr.nr_name))
			return unm_fail(&r->why, -EBUSY,
				"'%s': another client of this socket has it", c->hdr.nr_name);
	}
	return 0;
}

/*
 * Buffers that are asked for by number: netmapd counts, with its defaults, what it would make
 * (unm_ctrl_within()), but not what we make.
 */
static int
check_size(struct unm_irequest *r, const struct nmreq_register *reg)
{
	const uint64_t n_tx = reg->nr_tx_rings ? reg->nr_tx_rings : 1;
	const uint64_t n_rx = reg->nr_rx_rings ? reg->nr_rx_rings : 1;
	const uint64_t n_bufs =
		n_tx * reg->nr_tx_slots + n_rx * reg->nr_rx_slots + reg->nr_extra_bufs;

	const uint64_t n_bytes = n_bufs * 4096u; /* the port's, and the client's */

	/* A capture takes what it can get: not all that the others have as well. */
	if (reg->nr_rx_slots > UNM_PORT_MAX_SLOTS && n_bytes > r->br->policy.max_memory / 4)
		return unm_fail(&r->why, -ENOMEM,
			"with rings of more than %u slots a port may have a quarter of what this "
			"socket's clients may have in all, %llu MiB",
			UNM_PORT_MAX_SLOTS, (unsigned long long)r->br->policy.max_memory >> 20);
	if (n_bytes <= r->br->policy.max_memory - r->br->memory)
		return 0;
	return unm_fail(&r->why, -ENOMEM,
		"this socket's clients may have %llu MiB in all, and %llu are in use "
		"(memory= of nmctl isolate create)",
		(unsigned long long)r->br->policy.max_memory >> 20,
		(unsigned long long)r->br->memory >> 20);
}

/* What can't be had here at all, whatever the policy says. */
static int
check_possible(struct unm_irequest *r, const struct nmreq_register *reg)
{
	if (r->desc->binding != NULL)
		return unm_fail(&r->why, -EBUSY, "this descriptor is registered already");
	if (reg->nr_mode == NR_REG_NULL)
		return unm_fail(&r->why, -EOPNOTSUPP,
			"isolated clients have no null ports: these are for memory that is shared");
	if (reg->nr_mode == NR_REG_PIPE_MASTER || reg->nr_mode == NR_REG_PIPE_SLAVE)
		return unm_fail(&r->why, -EINVAL,
			"pipe modes are for the legacy API: name the pipe's end, like p{1, with "
			"mode ALL_NIC");
	if (reg->nr_mem_id != 0)
		return unm_fail(&r->why, -EACCES,
			"isolated clients have memory of their own: no @%u after the name",
			reg->nr_mem_id);
	if (r->has_csb && !(reg->nr_flags & NR_EXCLUSIVE))
		return unm_fail(&r->why, -EINVAL, "the CSB option needs NR_EXCLUSIVE");
	return 0;
}

static int
do_register(struct unm_irequest *r, struct copy *c)
{
	const struct nmreq_register *reg = (const struct nmreq_register *)(void *)c->body;
	const bool is_monitor = (reg->nr_flags & MONITOR_FLAGS) != 0;
	int err = check_possible(r, reg);

	if (err == 0 && r->br->n_bindings >= r->br->policy.max_ports)
		return unm_fail(&r->why, -ENOSPC,
			"this socket allows %u ports at once (ports= of nmctl isolate create)",
			r->br->policy.max_ports);
	if (err == 0)
		err = check_name(r, c, reg->nr_mode);
	if (err == 0 && is_monitor)
		err = check_monitor(r, c, reg->nr_flags);
	if (err == 0 && !is_monitor)
		err = check_other_users(r, c);
	if (err == 0)
		err = check_size(r, reg);
	if (err == 0) {
		unm_bucket_take(&r->br->requests, 1);
		err = unm_ibinding_new(r->br, r->desc, &c->hdr, &r->why);
	}
	r->has_registered = err == 0;
	return err;
}

/* --- questions --- */

static int
fail_foreign(struct unm_irequest *r)
{
	return unm_fail(&r->why, -EACCES, "isolated clients have memory of their own");
}

/* Without a name. */
static int
own_memory(struct unm_irequest *r, struct nmreq_port_info_get *info)
{
	const struct unm_region_info *region = &r->desc->binding->info.region;

	if (info->nr_mem_id != 0 && info->nr_mem_id != region->id)
		return fail_foreign(r);
	info->nr_memsize = region->size;
	info->nr_mem_id = (uint16_t)region->id;
	return 0;
}

static int
port_info(struct unm_irequest *r, struct copy *c)
{
	struct nmreq_port_info_get *info = (struct nmreq_port_info_get *)(void *)c->body;
	int err;

	if (c->hdr.nr_name[0] == '\0' && r->desc->binding != NULL)
		return own_memory(r, info);
	err = check_name(r, c, NR_REG_ALL_NIC);
	if (err == 0 && info->nr_mem_id != 0)
		err = fail_foreign(r);
	return err == 0 ? ask(r, c) : err;
}

/* Whatever port is named. */
static int
pools_info(struct unm_irequest *r, struct copy *c)
{
	struct nmreq_pools_info *out = (struct nmreq_pools_info *)(void *)c->body;
	const struct unm_ibinding *b = r->desc->binding;

	if (b == NULL)
		return unm_fail(&r->why, -EINVAL,
			"isolated clients can ask about the memory of an open port only");
	unm_fill_pools_info(&b->info.region, out);
	return 0;
}

/* Headers change what frames look like to all who have the port: it has to be the client's. */
static int
check_is_open(struct unm_irequest *r, const struct copy *c)
{
	const struct unm_idesc *d;

	for (d = r->br->descs; d != NULL; d = d->next)
		if ((d == r->desc || d->session_id == r->s->id) && is_bound_to(d, c->hdr.nr_name))
			return 0;
	return unm_fail(&r->why, -EPERM,
		"'%s': isolated clients may set headers only of a port that they have open",
		c->hdr.nr_name);
}

static int
port_hdr(struct unm_irequest *r, struct copy *c)
{
	int err = check_name(r, c, NR_REG_ALL_NIC);

	if (err == 0 && c->hdr.nr_reqtype == NETMAP_REQ_PORT_HDR_SET)
		err = check_is_open(r, c);
	return err == 0 ? ask(r, c) : err;
}

/* By name: an answer about that port. By number: the next one that may be seen. */
static int
vale_list(struct unm_irequest *r, struct copy *c)
{
	struct nmreq_vale_list *list = (struct nmreq_vale_list *)(void *)c->body;
	uint32_t i;
	int err;

	if (c->hdr.nr_name[0] != '\0') {
		err = check_name(r, c, NR_REG_ALL_NIC);
		return err == 0 ? ask(r, c) : err;
	}
	for (i = 0; i < MAX_LISTED; i++) {
		if (i % LISTED_AT_ONCE == 0)
			charge(r);
		err = ask_for_free(r, c);
		if (err < 0 || unm_policy_allows(&r->br->policy, c->hdr.nr_name))
			return err;
		list->nr_port_idx++; /* past the one that was found */
		memset(c->hdr.nr_name, 0, sizeof(c->hdr.nr_name));
	}
	return unm_fail(&r->why, -ENOENT, "there are no more ports");
}

static const struct rule rules[] = {
	[NETMAP_REQ_REGISTER] = {do_register, sizeof(struct nmreq_register)},
	[NETMAP_REQ_PORT_INFO_GET] = {port_info, sizeof(struct nmreq_port_info_get)},
	[NETMAP_REQ_VALE_ATTACH] = {refuse, sizeof(struct nmreq_vale_attach)},
	[NETMAP_REQ_VALE_DETACH] = {refuse, sizeof(struct nmreq_vale_detach)},
	[NETMAP_REQ_VALE_LIST] = {vale_list, sizeof(struct nmreq_vale_list)},
	[NETMAP_REQ_PORT_HDR_SET] = {port_hdr, sizeof(struct nmreq_port_hdr)},
	[NETMAP_REQ_PORT_HDR_GET] = {port_hdr, sizeof(struct nmreq_port_hdr)},
	[NETMAP_REQ_VALE_NEWIF] = {refuse, sizeof(struct nmreq_vale_newif)},
	[NETMAP_REQ_VALE_DELIF] = {refuse, 0},
	[NETMAP_REQ_VALE_POLLING_ENABLE] = {refuse, sizeof(struct nmreq_vale_polling)},
	[NETMAP_REQ_VALE_POLLING_DISABLE] = {refuse, sizeof(struct nmreq_vale_polling)},
	[NETMAP_REQ_POOLS_INFO_GET] = {pools_info, sizeof(struct nmreq_pools_info)},
};

#define N_RULES (sizeof(rules) / sizeof(rules[0]))

/* --- taking apart and putting together --- */

/* Only OFFSETS goes on to netmapd. Every other option is one that nobody honours here. */
static int
take_options(struct unm_irequest *r, struct copy *c, size_t ofs)
{
	while (ofs < r->len) { /* each round takes at least an option's head */
		struct nmreq_option *o = (struct nmreq_option *)(void *)(r->blob + ofs);

		if (r->len - ofs < sizeof(*o))
			return unm_fail(&r->why, -EMSGSIZE, "the request's options are cut off");
		o->nro_status = EOPNOTSUPP;
		if (o->nro_reqtype != NETMAP_REQ_OPT_OFFSETS)
			return unm_fail(&r->why, -EOPNOTSUPP,
				"option %u is not for isolated clients", o->nro_reqtype);
		if (r->len - ofs < sizeof(c->offsets) || c->hdr.nr_options != 0)
			return unm_fail(
				&r->why, -EINVAL, "option OFFSETS is cut off, or given twice");
		memcpy(&c->offsets, o, sizeof(c->offsets));
		c->offsets.nro_opt.nro_next = 0;
		c->hdr.nr_options = (uintptr_t)&c->offsets;
		ofs += sizeof(c->offsets);
	}
	return 0;
}

static void
put_back(struct unm_irequest *r, const struct copy *c, size_t body_len)
{
	struct nmreq_header *hdr = (struct nmreq_header *)(void *)r->blob;

	memcpy(hdr->nr_name, c->hdr.nr_name, sizeof(hdr->nr_name));
	memcpy(r->blob + sizeof(*hdr), c->body, body_len);
	if (c->hdr.nr_options != 0)
		memcpy(r->blob + sizeof(*hdr) + body_len, &c->offsets, sizeof(c->offsets));
}

int
unm_broker_request(struct unm_irequest *r)
{
	static struct copy c; /* one thread: one request */
	size_t body_len;
	int err;

	memset(&c, 0, sizeof(c));
	memcpy(&c.hdr, r->blob, sizeof(c.hdr));
	c.hdr.nr_name[sizeof(c.hdr.nr_name) - 1] = '\0';
	if (c.hdr.nr_reqtype >= N_RULES || rules[c.hdr.nr_reqtype].handle == NULL)
		return unm_fail(&r->why, -EINVAL, "request type %u is not known", c.hdr.nr_reqtype);
	body_len = rules[c.hdr.nr_reqtype].body_len;
	if (r->len - sizeof(c.hdr) < body_len)
		return unm_fail(&r->why, -EINVAL, "the request's body is missing");
	memcpy(c.body, r->blob + sizeof(c.hdr), body_len);
	c.hdr.nr_body = body_len > 0 ? (uintptr_t)c.body : 0;
	c.hdr.nr_options = 0;
	err = take_options(r, &c, sizeof(c.hdr) + body_len);
	if (err == 0)
		err = rules[c.hdr.nr_reqtype].handle(r, &c);
	put_back(r, &c, body_len);
	return err;
}
