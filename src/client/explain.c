/* SPDX-License-Identifier: BSD-2-Clause */
/* What an errno means here, and what to do. See explain.h. */
#include "client/explain.h"

#include <errno.h>
#include <sys/resource.h>

#include "client/session.h"

static unsigned long long
limit_of(__rlimit_resource_t which)
{
	struct rlimit lim;

	return getrlimit(which, &lim) < 0 ? 0 : (unsigned long long)lim.rlim_cur;
}

void
unm_explain(int err)
{
	if (err >= 0 || unm_last_error()[0] != '\0')
		return;
	switch (-err) {
	case EACCES:
		unm_set_error("%s does not let this user in: netmapd's own socket is for its user, "
			      "root, and the group in netmapd.conf; one of nmctl isolate for its "
			      "owner= and mode=",
			unm_session_path());
		break;
	case EMFILE:
		unm_set_error("no descriptor left: this process may have %llu (ulimit -n raises "
			      "that); \"nmctl doctor\" tells of netmapd's",
			limit_of(RLIMIT_NOFILE));
		break;
	case ENFILE:
		unm_set_error("the machine has no descriptor left: sysctl fs.file-max raises that");
		break;
	case ENOMEM:
		if (limit_of(RLIMIT_AS) != RLIM_INFINITY)
			unm_set_error("no memory, or no room for a mapping: this process may have "
				      "%llu MiB of addresses (ulimit -v unlimited lifts that)",
				limit_of(RLIMIT_AS) >> 20);
		else
			unm_set_error("no memory left for this process: see free(1) and its "
				      "memory cgroup");
		break;
	default:
		break;
	}
}
