/* SPDX-License-Identifier: BSD-2-Clause */
/* see below */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/server.h"

void
unm_restore_begin(struct unm_server *srv)
{
	srv->is_restoring = false;
}

void
unm_restore_check(struct unm_server *srv)
{
	srv->is_restoring = false;
}

void
unm_sessions_file_update(struct unm_server *srv)
{
	srv->n_restored = 0;
}

void
unm_handle_restore(struct unm_msg *m)
{
	m->error = EOPNOTSUPP;
}

void
unm_handle_restore_done(struct unm_msg *m)
{
	m->error = 0;
}

void
unm_handle_admin(struct unm_msg *m)
{
	m->error = EOPNOTSUPP;
}
