/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include "daemon/server.h"
void
unm_handle_admin(struct unm_msg *m)
{
	m->error = EOPNOTSUPP;
}
