/* SPDX-License-Identifier: BSD-2-Clause */
/* Asking the kernel. See handlers.h. */
/* Syscalls: rt_sigaction rt_sigprocmask */
#include "client/handlers.h"

#include <errno.h>
#include <signal.h>

static bool
is_fault(int sig)
{
	return sig == SIGSEGV || sig == SIGBUS || sig == SIGFPE || sig == SIGILL ||
	       sig == SIGTRAP || sig == SIGSYS;
}

/* What can't be found out counts as one. */
static bool
has_handler(int sig)
{
	struct sigaction sa;

	if (sigaction(sig, NULL, &sa) < 0)
		return errno != EINVAL; /* the C library's own */
	return sa.sa_handler != SIG_DFL && sa.sa_handler != SIG_IGN;
}

bool
unm_handlers_any(void)
{
	const int saved = errno;
	bool any = false;
	sigset_t blocked;
	int sig;

	sigemptyset(&blocked);
	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	for (sig = 1; sig < _NSIG && !any; sig++)
		any = !is_fault(sig) && sigismember(&blocked, sig) != 1 && has_handler(sig);
	errno = saved;
	return any;
}

bool
unm_handlers_none(struct unm_handlers *h, uint64_t now_ns)
{
	if (now_ns >= h->until_ns) {
		h->none = h->n_sleeps >= UNM_HANDLERS_WORTH && !unm_handlers_any();
		h->n_sleeps = 0;
		h->until_ns = now_ns + UNM_HANDLERS_PERIOD_NS;
	}
	h->n_sleeps++;
	return h->none;
}
