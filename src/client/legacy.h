/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The requests of API 11: NIOCREGIF, NIOCGINFO, NIOCCONFIG, turned into those of NIOCCTRL (spec
 * 19).
 */
#ifndef UNM_CLIENT_LEGACY_H
#define UNM_CLIENT_LEGACY_H

#include <stdint.h>

#include "client/ctrl.h"
#include "client/desc.h"

/* ioctl(fd, @req, @user). Return: 0 or -errno. */
int unm_legacy(struct unm_desc *d, unsigned int req, uint64_t user);

/* A translated request: header, and its body. */
struct unm_legacy_req {
	struct nmreq_header hdr;
	union {
		struct nmreq_register reg;
		struct nmreq_port_info_get info;
		struct nmreq_vale_attach attach;
		struct nmreq_vale_detach detach;
		struct nmreq_vale_list list;
		struct nmreq_port_hdr port_hdr;
		struct nmreq_vale_newif newif;
		struct nmreq_vale_polling polling;
	} body;
};

/**
 * unm_legacy_to_ctrl() - translate
 *
 * @out->hdr.nr_body is set to point to @out's body. Return: 0, -EINVAL (old version, unknown
 * command), -ENOMEM (PT_HOST_*, which upstream answers so).
 */
int unm_legacy_to_ctrl(const struct nmreq *nmr, unsigned int req, struct unm_legacy_req *out);

/* Results back, after success. */
void unm_legacy_from_ctrl(const struct unm_legacy_req *r, struct nmreq *nmr);

#endif
