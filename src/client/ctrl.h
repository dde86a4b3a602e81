/* SPDX-License-Identifier: BSD-2-Clause */
/* NIOCCTRL: from the application's structs to a message, and back. */
#ifndef UNM_CLIENT_CTRL_H
#define UNM_CLIENT_CTRL_H

#include <stddef.h>
#include <stdint.h>

#include "client/desc.h"
#include "client/netmap_abi.h"
#include "shm/proto.h"

#define UNM_REQ_MAXOPTS	 (UNM_REQ_MAXSIZE / sizeof(struct nmreq_option))
#define UNM_REQ_BLOBSIZE (sizeof(struct nmreq_header) + UNM_REQ_MAXSIZE)

/* One option of a request. */
struct unm_req_opt {
	uint64_t user;	    /* address of the application's */
	uint32_t type;	    /* as the application wrote it */
	uint32_t size;	    /* of the whole option */
	uint32_t ofs;	    /* of our copy in unm_request.opts */
	uint32_t status;    /* what is written back */
	uint32_t blob_ofs;  /* where it went in the message */
	uint32_t blob_size; /* how much of it went; 0: it stays with us */
};

/* A request, copied from the application once and checked. */
struct unm_request {
	uint64_t user_hdr;
	struct nmreq_header hdr;
	uint32_t body_size;
	uint32_t n_opts;
	uint32_t opts_len;
	uint64_t max_bytes; /* of a port that it makes; 0: no limit */
	struct unm_req_opt opt[UNM_REQ_MAXOPTS];
	char body[UNM_REQ_MAXSIZE] __attribute__((aligned(8)));
	char opts[UNM_REQ_MAXSIZE] __attribute__((aligned(8)));
};

/**
 * unm_ctrl() - ioctl(fd, NIOCCTRL, @user_hdr)
 *
 * Blocks on netmapd; SYNC_KLOOP_START until it is stopped. Return: 0 or -errno as in spec 5, 6, 20.
 */
int unm_ctrl(struct unm_desc *d, uint64_t user_hdr);

/** unm_ctrl_within() - unm_ctrl(), but -ENOMEM for a port that would take more than @max_bytes (0: no limit). */
int unm_ctrl_within(struct unm_desc *d, uint64_t user_hdr, uint64_t max_bytes);

/* PORT_INFO_GET for port @name, with the hints in @info. Return: 0 or -errno. */
int unm_ctrl_port_info(struct unm_desc *d, const char *name, struct nmreq_port_info_get *info);

/* ctrl_options.c */

/* Copy and check body and options (spec 5). Return: 0, -EMSGSIZE, -EFAULT, -EINVAL. Statuses are set in any case. */
int unm_request_read(struct unm_request *req);

/* Write back: header and statuses always, body and options when @success. Return: 0 or -EFAULT. */
int unm_request_write(const struct unm_request *req, int success);

/* The option of @type, or NULL. */
struct unm_req_opt *unm_request_opt(struct unm_request *req, uint32_t type);

static inline void *
unm_request_opt_data(struct unm_request *req, const struct unm_req_opt *o)
{
	return req->opts + o->ofs;
}

/**
 * unm_request_pack() - header, body and options as netmapd wants them
 * @keep: bit set of option types that stay with us: 1 << type
 *
 * EVENTFDS and MODE, which netmapd has no part in, are sent as headers of an unknown type: it refuses them as it would any other.
 * Return: bytes written to @blob, at most UNM_REQ_BLOBSIZE.
 */
uint32_t unm_request_pack(struct unm_request *req, uint32_t keep, char *blob);

/* Take the answer's header name, body, options and statuses. Return: 0 or -EPROTO. */
int unm_request_unpack(struct unm_request *req, const char *blob, uint32_t len);

#endif
