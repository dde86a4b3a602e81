/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One NIOCCTRL request inside netmapd: the client's header, body and options, taken apart.
 *
 * A family of requests is a file req_*.c; the table in request.c says which body a type has and who
 * acts on it. Handlers write results into body and options in place; the client copies bodies back
 * only when the request succeeded.
 */
#ifndef UNM_DAEMON_REQUEST_H
#define UNM_DAEMON_REQUEST_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <sys/types.h>

#include "daemon/kinds.h"
#include "daemon/server.h"
#include "net/netmap.h"

#define UNM_REQ_MAX_OPTIONS (UNM_REQ_MAXSIZE / 24)

struct unm_ctrl {
	struct unm_server *srv;
	struct unm_session *s;
	struct unm_desc *desc;
	struct nmreq_header *hdr; /* all these point into the answer's blob */
	void *body;
	struct nmreq_option *opts[UNM_REQ_MAX_OPTIONS];
	unsigned int n_opts;
	bool has_csb;
	bool is_admin; /* from nmctl, which may do a little more (unm_persistent_attach()) */
	int extmem_fd; /* -1: none */
	uint64_t extmem_ofs;
	uint64_t max_bytes;  /* of a port that it makes; 0: no limit */
	bool has_registered; /* the answer needs a bind info */
	struct unm_reason why;
};

/** unm_ctrl_option() - the option of a type, or NULL. */
struct nmreq_option *unm_ctrl_option(const struct unm_ctrl *c, uint32_t type);

/**
 * unm_ctrl_region() - the region that a request asks for by id or EXTMEM, with a reference; *out is
 * NULL if none is
 *
 * Return: 0, -EINVAL (unknown id), or the failure of the option, also in its status.
 */
int unm_ctrl_region(struct unm_ctrl *c, uint32_t mem_id, struct unm_dregion **out);

/** unm_ctrl_isolate_id() - of the isolate whose broker asks; 0: none */
uint32_t unm_ctrl_isolate_id(const struct unm_ctrl *c);

/** unm_ctrl_has_open() - does the process that asks have @port open? Or does another one? */
bool unm_ctrl_has_open(const struct unm_ctrl *c, const struct unm_dport *port);
bool unm_ctrl_others_have_open(const struct unm_ctrl *c, const struct unm_dport *port);

/** unm_ctrl_parse_name() - of the header. Return: as unm_name_parse(). */
int unm_ctrl_parse_name(struct unm_ctrl *c, struct unm_name *name);

/* Handlers: 0 or negative errno with c->why. */
int unm_req_register(struct unm_ctrl *c);
int unm_req_port_info(struct unm_ctrl *c);
int unm_req_pools_info(struct unm_ctrl *c);
int unm_req_hdr_set(struct unm_ctrl *c);
int unm_req_hdr_get(struct unm_ctrl *c);
int unm_req_vale_attach(struct unm_ctrl *c);
int unm_req_vale_detach(struct unm_ctrl *c);
int unm_req_vale_list(struct unm_ctrl *c);
int unm_req_vale_newif(struct unm_ctrl *c);
int unm_req_vale_delif(struct unm_ctrl *c);
int unm_req_vale_polling(struct unm_ctrl *c);

#endif
