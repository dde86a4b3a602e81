/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Run a program on a kernel that lacks or forbids something: "deny WHAT=ERRNO... -- COMMAND...".
 * WHAT is "xdp" (sockets of AF_XDP), "map" (mapping their fill rings), "bpf" (all of bpf(2)) or
 * "link" (its bpf_links).
 */
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_xdp.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int
deny(scmp_filter_ctx ctx, const char *what, int error)
{
	if (strncmp(what, "xdp=", 4) == 0)
		return seccomp_rule_add(ctx, SCMP_ACT_ERRNO(error), SCMP_SYS(socket), 1,
			SCMP_A0(SCMP_CMP_EQ, AF_XDP));
	if (strncmp(what, "map=", 4) == 0)
		return seccomp_rule_add(ctx, SCMP_ACT_ERRNO(error), SCMP_SYS(mmap), 1,
			SCMP_A5(SCMP_CMP_EQ, XDP_UMEM_PGOFF_FILL_RING));
	if (strncmp(what, "bpf=", 4) == 0)
		return seccomp_rule_add(ctx, SCMP_ACT_ERRNO(error), SCMP_SYS(bpf), 0);
	if (strncmp(what, "link=", 5) == 0)
		return seccomp_rule_add(ctx, SCMP_ACT_ERRNO(error), SCMP_SYS(bpf), 1,
			SCMP_A0(SCMP_CMP_EQ, BPF_LINK_CREATE));
	return -EINVAL;
}

int
main(int argc, char **argv)
{
	const scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int i, ret = ctx != NULL ? 0 : -ENOMEM;

	for (i = 1; ret == 0 && i < argc && strcmp(argv[i], "--") != 0; i++) {
		const char *eq = strchr(argv[i], '=');

		ret = eq != NULL ? deny(ctx, argv[i], atoi(eq + 1)) : -EINVAL;
	}
	if (ret == 0)
		ret = seccomp_load(ctx);
	if (ret < 0 || i + 1 >= argc) {
		fprintf(stderr, "deny: %s\n", strerror(ret < 0 ? -ret : EINVAL));
		return 2;
	}
	execvp(argv[i + 1], argv + i + 1);
	perror(argv[i + 1]);
	return 127;
}
