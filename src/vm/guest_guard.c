/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The handler for faults in guest memory. See guest_guard.h.
 *
 * The table of ranges is a fixed array that the handler scans: it runs only when something has gone
 * wrong. An entry's start is published last and cleared first, so a handler in another thread sees
 * whole entries. Only what is async-signal-safe happens in the handler; mmap is called raw, as
 * libnetmap takes the place of the C library's.
 */
#include "vm/guest_guard.h"

#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Regions of 64 NICs with 64 each, and their logs and in-flight regions. */
#define MAX_RANGES (64u * 66u)

struct range {
	uintptr_t start; /* 0: free */
	size_t size;
	struct unm_guest_guard *guard;
};

static struct range ranges[MAX_RANGES];
static unsigned int n_ranges_used; /* entries from here on were never used */
static struct sigaction old_bus, old_segv;
static bool is_installed;
static int (*tell_added)(const void *start, size_t size);
static void (*tell_removed)(const void *start);

static struct range *
find_range(uintptr_t addr)
{
	const unsigned int n = __atomic_load_n(&n_ranges_used, __ATOMIC_ACQUIRE);
	unsigned int i;

	for (i = 0; i < n; i++) {
		const uintptr_t start = __atomic_load_n(&ranges[i].start, __ATOMIC_ACQUIRE);

		if (start != 0 && addr - start < ranges[i].size)
			return &ranges[i];
	}
	return NULL;
}

/* Not ours: as if we had not been there. Returning repeats the access, and so the fault. */
static void
pass_on(int sig, siginfo_t *info, void *context)
{
	const struct sigaction *old = sig == SIGBUS ? &old_bus : &old_segv;

	if ((old->sa_flags & SA_SIGINFO) != 0) {
		old->sa_sigaction(sig, info, context);
	} else if (old->sa_handler != SIG_DFL && old->sa_handler != SIG_IGN) {
		old->sa_handler(sig);
	} else {
		const struct sigaction dfl = {.sa_handler = SIG_DFL};

		sigaction(sig, &dfl, NULL);
	}
}

static void
on_fault(int sig, siginfo_t *info, void *context)
{
	const int saved_errno = errno;
	const uint64_t one = 1;
	struct range *r = NULL;

	/* Codes above 0 are the kernel's own: a signal that somebody sent has no address. */
	if (info->si_code > 0)
		r = find_range((uintptr_t)info->si_addr);
	if (r == NULL || syscall(SYS_mmap, r->start, r->size, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1,
				 0) != (long)r->start) {
		pass_on(sig, info, context);
		errno = saved_errno;
		return;
	}
	__atomic_store_n(&r->guard->failed, 1, __ATOMIC_RELEASE);
	/* A full counter is readable as well. */
	(void)!syscall(SYS_write, r->guard->event_fd, &one, sizeof(one));
	errno = saved_errno;
}

static int
install(void)
{
	struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};

	if (is_installed)
		return 0;
	sigemptyset(&sa.sa_mask);
	if (sigaction(SIGBUS, &sa, &old_bus) != 0 || sigaction(SIGSEGV, &sa, &old_segv) != 0)
		return -errno;
	is_installed = true;
	return 0;
}

int
unm_guest_guard_init(struct unm_guest_guard *g)
{
	const int err = install();

	g->event_fd = -1;
	g->failed = 0;
	if (err < 0)
		return err;
	g->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return g->event_fd < 0 ? -errno : 0;
}

void
unm_guest_guard_fini(struct unm_guest_guard *g)
{
	if (g->event_fd >= 0)
		close(g->event_fd);
	g->event_fd = -1;
}

void
unm_guest_guard_tell(
	int (*added)(const void *start, size_t size), void (*removed)(const void *start))
{
	tell_added = added;
	tell_removed = removed;
}

int
unm_guest_guard_add(struct unm_guest_guard *g, void *start, size_t size)
{
	unsigned int i;

	for (i = 0; i < MAX_RANGES; i++) {
		if (ranges[i].start == 0)
			break;
	}
	if (i == MAX_RANGES)
		return -ENOSPC;
	ranges[i].size = size;
	ranges[i].guard = g;
	__atomic_store_n(&ranges[i].start, (uintptr_t)start, __ATOMIC_RELEASE);
	if (i >= n_ranges_used)
		__atomic_store_n(&n_ranges_used, i + 1, __ATOMIC_RELEASE);
	if (tell_added != NULL)
		tell_added(start, size);
	return 0;
}

void
unm_guest_guard_remove(struct unm_guest_guard *g, const void *start)
{
	unsigned int i;

	for (i = 0; i < n_ranges_used; i++) {
		if (ranges[i].start == (uintptr_t)start && ranges[i].guard == g) {
			if (tell_removed != NULL)
				tell_removed(start);
			__atomic_store_n(&ranges[i].start, 0, __ATOMIC_RELEASE);
			return;
		}
	}
}
