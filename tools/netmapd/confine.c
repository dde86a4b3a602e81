/* SPDX-License-Identifier: BSD-2-Clause */
/* Giving up privileges and system calls. See confine.h. */
#include "confine.h"

#include <cap-ng.h>
#include <errno.h>
#include <linux/bpf.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "../common/nmt_fcntl_rules.h"

/* Set for workers when netmapd does not limit its own calls. */
#define NO_FILTER_ENV "UNETMAP_NO_FILTER"

/* What libc does for everybody: memory, standard I/O, locks, threads' and the process's end. */
/* Syscalls: brk munmap mremap madvise futex sched_yield rseq set_robust_list */
/* Syscalls: read write readv writev close lseek fstat newfstatat statx fcntl */
/* Syscalls: rt_sigaction rt_sigprocmask rt_sigreturn restart_syscall tgkill exit exit_group */
/* Syscalls: getpid gettid getuid geteuid getgid getegid getrandom clock_gettime clock_getres */
/* Syscalls: gettimeofday time getcpu sched_getaffinity prlimit64 getrlimit sysinfo */

struct call {
	const char *name;
	int number;
};

static const struct call netmapd_calls[] = {
#include "netmapd_syscalls.inc"
};

static const struct call worker_calls[] = {
#include "worker_syscalls.inc"
};

static const struct call broker_calls[] = {
#include "broker_syscalls.inc"
};

#define N_CALLS(list) (sizeof(list) / sizeof((list)[0]))

/* Needed after the start by an instance that root runs: see the unit's CapabilityBoundingSet. */
static const unsigned int kept_capabilities[] = {
	CAP_NET_ADMIN,	  /* make TAPs, attach programs to interfaces */
	CAP_NET_RAW,	  /* sockets of interfaces */
	CAP_IPC_LOCK,	  /* whose memory is pinned */
	CAP_SYS_ADMIN,	  /* enter network namespaces */
	CAP_SYS_PTRACE,	  /* those of other processes */
	CAP_DAC_OVERRIDE, /* a socket directory that belongs to somebody else */
	CAP_CHOWN,	  /* sockets for isolated clients */
};

/* What daemon/xdp.c and daemon/hoststack.c ask of bpf(2). */
static const scmp_datum_t bpf_commands[] = {
	BPF_MAP_CREATE,
	BPF_MAP_UPDATE_ELEM,
	BPF_MAP_DELETE_ELEM,
	BPF_PROG_LOAD,
	BPF_PROG_ATTACH,
	BPF_LINK_CREATE,
	BPF_LINK_DETACH,
	BPF_PROG_GET_FD_BY_ID,
	BPF_OBJ_GET_INFO_BY_FD,
};

/* The sanitizers' own threads, stacks and reports take calls that we do not make. */
#ifndef __has_feature
#define __has_feature(feature) 0 /* clang's question */
#endif

static bool
is_sanitized(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return true;
#else
	return __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#endif
}

static int
drop_capabilities(const unsigned int *kept, size_t n_kept)
{
	unsigned int cap;
	size_t i;

	if (capng_get_caps_process() < 0)
		return -EIO;
	for (cap = 0; cap <= CAP_LAST_CAP; cap++) {
		for (i = 0; i < n_kept && kept[i] != cap; i++)
			continue;
		if (i == n_kept)
			capng_update(CAPNG_DROP,
				CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_INHERITABLE |
					CAPNG_BOUNDING_SET,
				cap);
	}
	/* The bounding set takes CAP_SETPCAP; without new privileges it grants nothing anyway. */
	if (capng_apply(CAPNG_SELECT_BOTH) == 0 || capng_apply(CAPNG_SELECT_CAPS) == 0)
		return 0;
	return -EPERM;
}

static int
add_calls(scmp_filter_ctx ctx, const struct call *list, size_t n)
{
	size_t i;
	int err = 0;

	for (i = 0; i < n && (err == 0 || err == -EEXIST); i++) {
		if (list[i].number != SCMP_SYS(fcntl)) /* some of its commands: load_filter() */
			err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, list[i].number, 0);
	}
	return err == -EEXIST ? 0 : err;
}

/* ENOSYS makes libc try an older call; EPERM would be taken for an answer. */
static int
load_filter(const struct call *list, size_t n, int (*add_more)(scmp_filter_ctx ctx))
{
	scmp_filter_ctx ctx;
	int err = nmt_deny_signal_ioctls();

	if (err < 0)
		return err;
	ctx = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	if (ctx == NULL)
		return -ENOMEM;
	err = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1); /* libnetmap's threads as well */
	if (err == 0)
		err = add_calls(ctx, list, n);
	if (err == 0)
		err = nmt_allow_fcntl(ctx);
	if (err == 0)
		err = add_more(ctx);
	if (err == 0)
		err = seccomp_load(ctx);
	seccomp_release(ctx);
	return err;
}

/* Workers and brokers inherit the filter: their loader, threads and own calls are in it. */
static int
add_for_netmapd(scmp_filter_ctx ctx)
{
	int err = add_calls(ctx, worker_calls, N_CALLS(worker_calls));
	size_t i;

	if (err == 0)
		err = add_calls(ctx, broker_calls, N_CALLS(broker_calls));
	for (i = 0; err == 0 && i < sizeof(bpf_commands) / sizeof(bpf_commands[0]); i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(bpf), 1,
			SCMP_A0(SCMP_CMP_EQ, bpf_commands[i]));
	return err;
}

static int
add_for_child(scmp_filter_ctx ctx)
{
	/* A thread, but no process. glibc asks with clone3 first, whose arguments can't be seen. */
	int err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
		SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));

	/* Regions and stacks, but nothing that could be executed. */
	if (err == 0)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (err == 0)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	return err;
}

int
confine_netmapd(bool wants_filter)
{
	int err = 0, ret;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		err = -errno;
	if (geteuid() == 0) {
		ret = drop_capabilities(kept_capabilities,
			sizeof(kept_capabilities) / sizeof(kept_capabilities[0]));
		err = err < 0 ? err : ret;
	}
	if (!wants_filter || is_sanitized()) {
		setenv(NO_FILTER_ENV, "1", 1); /* for the workers */
		return err;
	}
	unsetenv(NO_FILTER_ENV);
	ret = load_filter(netmapd_calls, N_CALLS(netmapd_calls), add_for_netmapd);
	return err < 0 ? err : ret;
}

static int
confine_child(const struct call *list, size_t n)
{
	const int err = drop_capabilities(NULL, 0);
	int ret;

	if (getenv(NO_FILTER_ENV) != NULL || is_sanitized())
		return err;
	ret = load_filter(list, n, add_for_child);
	return err < 0 ? err : ret;
}

int
confine_worker(void)
{
	return confine_child(worker_calls, N_CALLS(worker_calls));
}

int
confine_broker(void)
{
	return confine_child(broker_calls, N_CALLS(broker_calls));
}
