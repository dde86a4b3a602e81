/* SPDX-License-Identifier: BSD-2-Clause */
/* Asking for TAP queues. See queues.h. */
#include "client/queues.h"

#include <errno.h>

#include "client/fdtab.h"
#include "client/session.h"
#include "port/port.h"

int
unm_queues_get(const struct unm_seg *seg, uint32_t port, uint32_t gen, int *fds, unsigned int max)
{
	const struct unm_msg_get_queues req = {.seg_uid = seg->uid, .port = port, .port_gen = gen};
	struct unm_call c = {.type = UNM_MSG_GET_QUEUES,
		.flags = UNM_CALL_NOWAIT,
		.patience = unm_session_patience(),
		.body = &req,
		.body_len = sizeof(req)};
	unsigned int i;
	int err = unm_session_call(&c);

	if (err < 0)
		return -EAGAIN; /* whatever it is, another session may know */
	if (c.error == 0 && c.n_ans_fds > max)
		c.error = -ENOSPC;
	if (c.error < 0) {
		unm_call_close_fds(&c, 0);
		return c.error;
	}
	for (i = 0; i < c.n_ans_fds; i++) {
		fds[i] = unm_fd_internal(c.ans_fds[i]);
		if (fds[i] < 0) {
			err = fds[i];
			unm_queues_put(fds, i);
			unm_call_close_fds(&c, i + 1);
			return err;
		}
	}
	return (int)i;
}

void
unm_queues_put(const int *fds, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		unm_fd_internal_close(fds[i]);
}
