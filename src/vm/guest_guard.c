/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The handler for faults in guest memory. See guest_guard.h.
 *
 * The ranges of a guard are a fixed array that the handler scans, as it runs only when something has
 * gone wrong. Each guard has its own, so that no NIC can take another's. An entry's start is published
 * last and cleared first, so a handler in another thread sees whole entries. Only what is
 * async-signal-safe happens in the handler; mmap is called raw, as libnetmap takes the place of the C
 * library's.
 */
#include "vm/guest_guard.h"

#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct range {
	uintptr_t start; /* 0: free */
	size_t size;
};

/* The ranges of one guard. They are not in the guard itself, which may be freed under a handler. */
struct unm_guest_ranges {
	struct unm_guest_guard *guard; /* NULL: free */
	struct range range[UNM_GUEST_MAX_RANGES];
};

static struct unm_guest_ranges all[UNM_GUEST_MAX_GUARDS];
static struct sigaction old_bus, old_segv;
static bool is_installed;
static int (*tell_added)(const void *start, size_t size);
static void (*tell_removed)(const void *start);

/* The range that @addr is in, and whose it is; NULL: none. */
static struct range *
find_range(uintptr_t addr, struct unm_guest_guard **guard)
{
	unsigned int k, i;

	for (k = 0; k < UNM_GUEST_MAX_GUARDS; k++) {
		*guard = __atomic_load_n(&all[k].guard, __ATOMIC_ACQUIRE);
		for (i = 0; *guard != NULL && i < UNM_GUEST_MAX_RANGES; i++) {
			struct range *r = &all[k].range[i];
			const uintptr_t start = __atomic_load_n(&r->start, __ATOMIC_ACQUIRE);

			if (start != 0 && addr - start < r->size)
				return r;
		}
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
	struct unm_guest_guard *guard;
	struct range *r = NULL;

	/* Codes above 0 are the kernel's own: a signal that somebody sent has no address. */
	if (info->si_code > 0)
		r = find_range((uintptr_t)info->si_addr, &guard);
	if (r == NULL || syscall(SYS_mmap, r->start, r->size, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1,
				 0) != (long)r->start) {
		pass_on(sig, info, context);
		errno = saved_errno;
		return;
	}
	__atomic_store_n(&guard->failed, 1, __ATOMIC_RELEASE);
	/* A full counter is readable as well. */
	(void)!syscall(SYS_write, guard->event_fd, &one, sizeof(one));
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

void
unm_guest_guard_block(struct unm_guest_guard *g)
{
	const uint64_t one = 1;

	g->has_blocked = true;
	(void)!write(g->event_fd, &one, sizeof(one)); /* a full counter is readable as well */
}

static struct unm_guest_ranges *
take_ranges(struct unm_guest_guard *g)
{
	unsigned int k;

	for (k = 0; k < UNM_GUEST_MAX_GUARDS; k++) {
		if (all[k].guard == NULL) {
			__atomic_store_n(&all[k].guard, g, __ATOMIC_RELEASE);
			return &all[k];
		}
	}
	return NULL;
}

int
unm_guest_guard_init(struct unm_guest_guard *g)
{
	const int err = install();

	*g = (struct unm_guest_guard){.event_fd = -1};
	if (err < 0)
		return err;
	g->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (g->event_fd < 0)
		return -errno;
	g->ranges = take_ranges(g);
	if (g->ranges == NULL) {
		unm_guest_guard_fini(g);
		return -EUSERS;
	}
	return 0;
}

void
unm_guest_guard_fini(struct unm_guest_guard *g)
{
	if (g->event_fd >= 0)
		close(g->event_fd);
	g->event_fd = -1;
	if (g->ranges != NULL)
		__atomic_store_n(&g->ranges->guard, NULL, __ATOMIC_RELEASE);
	g->ranges = NULL;
}

void
unm_guest_guard_tell(
	int (*added)(const void *start, size_t size), void (*removed)(const void *start))
{
	tell_added = added;
	tell_removed = removed;
}

/* The entry of @g whose start is @start; 0: a free one. */
static struct range *
find_entry(const struct unm_guest_guard *g, uintptr_t start)
{
	unsigned int i;

	for (i = 0; i < UNM_GUEST_MAX_RANGES; i++) {
		if (g->ranges->range[i].start == start)
			return &g->ranges->range[i];
	}
	return NULL;
}

int
unm_guest_guard_add(struct unm_guest_guard *g, void *start, size_t size)
{
	struct range *r = find_entry(g, 0);

	if (r == NULL)
		return -EDQUOT;
	r->size = size;
	__atomic_store_n(&r->start, (uintptr_t)start, __ATOMIC_RELEASE);
	if (tell_added != NULL)
		tell_added(start, size);
	return 0;
}

void
unm_guest_guard_remove(struct unm_guest_guard *g, const void *start)
{
	struct range *r = find_entry(g, (uintptr_t)start);

	if (r == NULL)
		return;
	if (tell_removed != NULL)
		tell_removed(start);
	__atomic_store_n(&r->start, 0, __ATOMIC_RELEASE);
}
