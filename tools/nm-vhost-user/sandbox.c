/* SPDX-License-Identifier: BSD-2-Clause */
/* Giving up privileges. See sandbox.h. */
#include "sandbox.h"

#include <cap-ng.h>
#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "../common/nmt_fcntl_rules.h"

/* Landlock as the kernel defines it (include/uapi/linux/landlock.h); headers may be older. */
#define LL_CREATE_VERSION 1u
#define LL_SCOPE_ALL	  3ull /* abstract sockets, signals: version 6 */
#define LL_NET_TCP	  3ull /* bind, connect: version 4 */

struct ll_ruleset {
	uint64_t fs;
	uint64_t net;
	uint64_t scoped;
};

/* Rights on files that each version can take away. */
static uint64_t
fs_rights(long version)
{
	unsigned int n_bits = 13;

	if (version >= 2)
		n_bits = 14; /* refer */
	if (version >= 3)
		n_bits = 15; /* truncate */
	if (version >= 5)
		n_bits = 16; /* ioctl on devices */
	return (1ull << n_bits) - 1;
}

/* A set of rules without rules: everything that it handles is forbidden. */
static int
forbid_files(void)
{
	struct ll_ruleset rs = {0};
	size_t size = offsetof(struct ll_ruleset, net);
	const long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LL_CREATE_VERSION);
	int fd, err = 0;

	if (version < 1)
		return 0; /* not in this kernel, or turned off */
	rs.fs = fs_rights(version);
	if (version >= 4) {
		rs.net = LL_NET_TCP;
		size = offsetof(struct ll_ruleset, scoped);
	}
	if (version >= 6) {
		rs.scoped = LL_SCOPE_ALL;
		size = sizeof(rs);
	}
	fd = (int)syscall(SYS_landlock_create_ruleset, &rs, size, 0);
	if (fd < 0)
		return -errno;
	if (syscall(SYS_landlock_restrict_self, fd, 0) != 0)
		err = -errno;
	close(fd);
	return err;
}

int
vh_sandbox_files(void)
{
	capng_clear(CAPNG_SELECT_ALL);
	/* The bounding set stays: without new privileges it grants nothing. */
	if (capng_apply(CAPNG_SELECT_CAPS) != 0)
		return -EPERM;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -errno;
	return forbid_files();
}

/*
 * What is needed once the ports are open. Memory: regions of front ends come and go. Sockets: front
 * ends, and netmapd when it is back. Threads: libnetmap's own.
 */
static const int allowed_calls[] = {
	/* moving frames and sleeping */
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(readv),
	SCMP_SYS(writev),
	SCMP_SYS(ppoll),
	SCMP_SYS(poll),
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2),
	SCMP_SYS(eventfd2),
	SCMP_SYS(timerfd_create),
	SCMP_SYS(timerfd_settime),
	SCMP_SYS(futex),
	SCMP_SYS(nanosleep),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_getres),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(sched_yield),
	SCMP_SYS(membarrier),
	SCMP_SYS(rseq),
	SCMP_SYS(getcpu),
	SCMP_SYS(getrusage),
	SCMP_SYS(getrandom),
	/* memory */
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(brk),
	SCMP_SYS(memfd_create),
	SCMP_SYS(fallocate),
	SCMP_SYS(ftruncate),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(statx),
	SCMP_SYS(fstatfs),
	SCMP_SYS(lseek),
	SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),
	/* descriptors */
	SCMP_SYS(close),
	SCMP_SYS(close_range),
	SCMP_SYS(dup),
	SCMP_SYS(dup2),
	SCMP_SYS(dup3),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	/* sockets */
	SCMP_SYS(bind),
	SCMP_SYS(accept4),
	SCMP_SYS(sendmsg),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(recvfrom),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	SCMP_SYS(shutdown),
	/* signals, threads, the end */
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigtimedwait),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
	SCMP_SYS(wait4), /* the witness */
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(sched_getaffinity),
};

/* Calls that are harmless with some arguments only. Return: 0 or a negative errno. */
static int
allow_some_uses(scmp_filter_ctx ctx)
{
	int err;

	/* A thread, but no process. glibc asks with clone3 first, whose arguments can't be seen. */
	err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
		SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
	if (err == 0)
		err = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	/* Signals and limits: this process's. */
	if (err == 0)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
			SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
	if (err == 0)
		err = seccomp_rule_add(
			ctx, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1, SCMP_A0(SCMP_CMP_EQ, 0));
	/* No memory that is executable. */
	if (err == 0)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (err == 0)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	/* Descriptors that send no signals. No ioctl() at all. */
	if (err == 0)
		err = nmt_allow_fcntl(ctx);
	/* libnetmap copies from an application through the kernel: of this process only. */
	if (err == 0)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(process_vm_readv), 1,
			SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
	if (err == 0)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(process_vm_writev), 1,
			SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
	return err;
}

/*
 * UNIX sockets: no other family. None of datagrams, which can be sent anywhere without connect().
 * Connections: to where the sealed addresses say.
 */
static int
allow_sockets(
	scmp_filter_ctx ctx, const struct sockaddr_un *const *addresses, unsigned int n_addresses)
{
	static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET};
	static const int calls[] = {SCMP_SYS(socket), SCMP_SYS(socketpair)};
	unsigned int i;
	int err = 0;

	for (i = 0; i < 4 && err == 0; i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i / 2], 2,
			SCMP_A0(SCMP_CMP_EQ, AF_UNIX),
			SCMP_A1(SCMP_CMP_MASKED_EQ, ~(scmp_datum_t)(SOCK_CLOEXEC | SOCK_NONBLOCK),
				(scmp_datum_t)types[i % 2]));
	for (i = 0; i < n_addresses && err == 0; i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(connect), 1,
			SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)(uintptr_t)addresses[i]));
	return err;
}

int
vh_sandbox_calls(const struct sockaddr_un *const *addresses, unsigned int n_addresses)
{
	const scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int err;
	size_t i;

	if (ctx == NULL)
		return -ENOMEM;
	/* libnetmap's thread as well. */
	err = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	for (i = 0; i < sizeof(allowed_calls) / sizeof(allowed_calls[0]) && err == 0; i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed_calls[i], 0);
	if (err == 0)
		err = allow_some_uses(ctx);
	if (err == 0)
		err = allow_sockets(ctx, addresses, n_addresses);
	if (err == 0)
		err = seccomp_load(ctx);
	seccomp_release(ctx);
	return err;
}

int
vh_sandbox_witness(void)
{
	static const int calls[] = {
		SCMP_SYS(read),
		SCMP_SYS(write),
		SCMP_SYS(stat),
		SCMP_SYS(stat64),
		SCMP_SYS(newfstatat),
		SCMP_SYS(fstatat64),
		SCMP_SYS(statx),
		SCMP_SYS(geteuid),
		SCMP_SYS(geteuid32),
		SCMP_SYS(exit_group),
	};
	scmp_filter_ctx ctx;
	int err = 0;
	size_t i;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -errno;
	ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (ctx == NULL)
		return -ENOMEM;
	for (i = 0; i < sizeof(calls) / sizeof(calls[0]) && err == 0; i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0);
	if (err == 0)
		err = seccomp_load(ctx);
	seccomp_release(ctx);
	return err;
}
