/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What filters of system calls let through of fcntl(2) and ioctl(2).
 *
 * Both can make the kernel send signals about a descriptor to a process of the caller's choice
 * (F_SETOWN, F_SETSIG, F_NOTIFY, O_ASYNC and their ioctls): a way around every rule about kill().
 * The kernel takes 32 bits of a command, so the rules look at no more.
 */
#ifndef NMT_FCNTL_RULES_H_
#define NMT_FCNTL_RULES_H_

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define NMT_COMMAND(c) SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffu, (scmp_datum_t)(c))

/**
 * nmt_allow_fcntl() - the commands that libc, libnetmap and we use; F_SETFL without O_ASYNC
 *
 * For a filter that denies what no rule is about. Return: 0 or a negative errno.
 */
static inline int
nmt_allow_fcntl(scmp_filter_ctx ctx)
{
	static const int commands[] = {F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL,
		F_ADD_SEALS, F_GET_SEALS, F_GETPIPE_SZ};
	int err = 0;
	size_t i;

	for (i = 0; i < sizeof(commands) / sizeof(commands[0]) && err == 0; i++)
		err = seccomp_rule_add(
			ctx, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, NMT_COMMAND(commands[i]));
	if (err == 0)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 2,
			NMT_COMMAND(F_SETFL), SCMP_A2(SCMP_CMP_MASKED_EQ, O_ASYNC, 0));
	return err;
}

/**
 * nmt_deny_signal_ioctls() - ioctl(2) sets no owner of a descriptor, nor O_ASYNC: EPERM
 *
 * A filter of its own, as one can't have both a rule that allows all of a call and rules that deny
 * some. Return: 0 or a negative errno.
 */
static inline int
nmt_deny_signal_ioctls(void)
{
	static const unsigned int requests[] = {FIOASYNC, FIOSETOWN, SIOCSPGRP};
	const scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int err;
	size_t i;

	if (ctx == NULL)
		return -ENOMEM;
	err = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	for (i = 0; i < sizeof(requests) / sizeof(requests[0]) && err == 0; i++)
		err = seccomp_rule_add(
			ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1, NMT_COMMAND(requests[i]));
	if (err == 0)
		err = seccomp_load(ctx);
	seccomp_release(ctx);
	return err;
}

#endif /* NMT_FCNTL_RULES_H_ */
