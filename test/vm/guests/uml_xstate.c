/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * To be preloaded into User-Mode Linux, where its kernel has too little room for the processor's
 * registers.
 *
 * UML 6.1 keeps 2696 bytes of a traced process' extended state: all up to AVX-512 and the
 * protection keys. Where the processor has more (AMX: 11008 bytes) the host takes back nothing less
 * than all of it (xstateregs_set() in arch/x86/kernel/fpu/regset.c), and UML's init dies: "ptrace
 * set fp regs failed, errno = 14". So what is set is completed with what the process has. The older
 * requests, without AVX, would not do: at each page fault UML lets the host deliver a signal, which
 * clears the rest of the vector registers.
 */
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>

#define MAX_STATE 65536u

typedef long ptrace_fn(int, pid_t, void *, void *);

/* The state of @pid, with its beginning from @part. */
static long
set_whole(ptrace_fn *real, pid_t pid, const struct iovec *part)
{
	static char state[MAX_STATE]; /* UML's kernel is one thread */
	struct iovec whole = {state, sizeof(state)};

	if (real(PTRACE_GETREGSET, pid, (void *)NT_X86_XSTATE, &whole) != 0)
		return -1;
	if (whole.iov_len <= part->iov_len) {
		errno = EFAULT; /* it was something else */
		return -1;
	}
	memcpy(state, part->iov_base, part->iov_len);
	return real(PTRACE_SETREGSET, pid, (void *)NT_X86_XSTATE, &whole);
}

__attribute__((visibility("default"))) long
ptrace(enum __ptrace_request request, ...)
{
	static ptrace_fn *real;
	void *addr, *data;
	va_list ap;
	pid_t pid;
	long ret;

	va_start(ap, request);
	pid = va_arg(ap, pid_t);
	addr = va_arg(ap, void *);
	data = va_arg(ap, void *);
	va_end(ap);
	if (real == NULL)
		real = (ptrace_fn *)dlsym(RTLD_NEXT, "ptrace");
	ret = real(request, pid, addr, data);
	if (ret != 0 && errno == EFAULT && request == PTRACE_SETREGSET &&
		addr == (void *)NT_X86_XSTATE)
		return set_whole(real, pid, data);
	return ret;
}
