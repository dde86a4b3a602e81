/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A client in need, for the tests of what is used up or missing.
 *
 * usage: bl-client open PORT         open the port, say "open", wait for the end of standard input
 *        bl-client fds PORT          open it again and again with 0, 1, 2, ... descriptors left
 *        bl-client memory PORT       open it again and again with ever more address space
 *
 * "fds" and "memory" prove: while it does not suffice the open fails with the right errno, without a
 * hang, and leaves nothing behind, neither a descriptor nor (with the failed one still open) a port that
 * another could not have; as soon as it suffices it succeeds. A port opened before works all the time.
 *
 * Exit status: 0 or 1, with the reason on standard error.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <net/netmap_user.h>

#define LIFE_S	     120
#define MAX_FREE_FDS 40
#define MAX_STEPS    100
#define STEP_MIB     8
#define MADE_ONCE    1 /* the thread's own epoll instance, at its first sleep */

/* A descriptor, registered or not. */
struct port {
	int fd;
	struct nmreq_register reg;
};

static void
fail(const char *fmt, ...)
{
	const int saved = errno;
	va_list ap;

	fputs("bl-client: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, " (errno: %s)\n", strerror(saved));
	exit(1);
}

static int
try_register(struct port *p, const char *name, uint64_t flags)
{
	struct nmreq_header hdr = {.nr_version = NETMAP_API,
		.nr_reqtype = NETMAP_REQ_REGISTER,
		.nr_body = (uintptr_t)&p->reg};

	memset(&p->reg, 0, sizeof(p->reg));
	p->reg.nr_mode = NR_REG_ALL_NIC;
	p->reg.nr_flags = flags;
	snprintf(hdr.nr_name, sizeof(hdr.nr_name), "%s", name);
	return ioctl(p->fd, NIOCCTRL, &hdr);
}

static int
try_open(struct port *p, const char *name, uint64_t flags)
{
	p->fd = open("/dev/netmap", O_RDWR);
	return p->fd < 0 ? -1 : try_register(p, name, flags);
}

static void
close_port(struct port *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}

/* By the kernel's list, as the library hides its own. */
static unsigned int
count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned int n = 0;

	if (d == NULL)
		fail("/proc/self/fd");
	while (readdir(d) != NULL) /* bounded by the directory */
		n++;
	closedir(d);
	return n;
}

/* A frame through the pipe that was open before: it must work whatever is missing. */
static void
check_pipe(struct port *a, struct port *b)
{
	char *mem = mmap(NULL, a->reg.nr_memsize, PROT_READ | PROT_WRITE, MAP_SHARED, a->fd, 0);
	struct pollfd pfd = {b->fd, POLLIN, 0};
	struct netmap_ring *tx, *rx;

	if (mem == MAP_FAILED)
		fail("mmap of an open port");
	tx = NETMAP_TXRING(NETMAP_IF(mem, a->reg.nr_offset), 0);
	rx = NETMAP_RXRING(NETMAP_IF(mem, b->reg.nr_offset), 0);
	if (nm_ring_empty(tx))
		fail("no room in the pipe");
	tx->slot[tx->head].len = 60;
	tx->head = tx->cur = nm_ring_next(tx, tx->head);
	if (ioctl(a->fd, NIOCTXSYNC, NULL) < 0)
		fail("txsync of the pipe");
	if (poll(&pfd, 1, 5000) != 1 || pfd.revents != POLLIN)
		fail("nothing arrives in the pipe");
	rx->head = rx->cur = nm_ring_next(rx, rx->head);
	if (ioctl(b->fd, NIOCRXSYNC, NULL) < 0)
		fail("rxsync of the pipe");
	munmap(mem, a->reg.nr_memsize);
}

/* The numbers that a new descriptor could get are all taken, but for @n. */
static void
leave_fds(int n, int *filler, int *n_filler)
{
	const struct rlimit lim = {64, 64};
	int fd;

	if (setrlimit(RLIMIT_NOFILE, &lim) < 0)
		fail("setrlimit");
	*n_filler = 0;
	while ((fd = open("/dev/null", O_RDONLY)) >= 0)
		filler[(*n_filler)++] = fd;
	while (n-- > 0 && *n_filler > 0)
		close(filler[--*n_filler]);
}

static void
drop_fds(const int *filler, int n_filler)
{
	while (n_filler > 0)
		close(filler[--n_filler]);
}

/* Return: true when the port could be opened. */
static bool
try_with_fds(const char *name, int n_free)
{
	int filler[64], n_filler, err;
	struct port p, again;
	bool ok;

	leave_fds(n_free, filler, &n_filler);
	ok = try_open(&p, name, NR_EXCLUSIVE) == 0;
	err = errno;
	drop_fds(filler, n_filler);
	errno = err;
	if (!ok && err != EMFILE && err != ENFILE)
		fail("%d free descriptors: not EMFILE", n_free);
	if (!ok && p.fd >= 0) {
		/* Another one may have the port, and this one may be bound once there is enough */
		if (try_open(&again, name, NR_EXCLUSIVE) < 0)
			fail("%d free descriptors: the failed REGISTER has left the port taken",
				n_free);
		close_port(&again);
		if (try_register(&p, name, NR_EXCLUSIVE) < 0)
			fail("%d free descriptors: no second try on the same descriptor", n_free);
	}
	close_port(&p);
	return ok;
}

static void
run_out_of_fds(const char *name, struct port *a, struct port *b)
{
	unsigned int n_before;
	int n_free;

	try_with_fds(name, MAX_FREE_FDS); /* what the library makes once is there */
	n_before = count_fds();
	for (n_free = 0; n_free < MAX_FREE_FDS; n_free++) {
		const bool ok = try_with_fds(name, n_free);

		check_pipe(a, b);
		if (count_fds() > n_before + MADE_ONCE)
			fail("%d free descriptors: %u open afterwards, %u before", n_free,
				count_fds(), n_before);
		if (ok) {
			printf("%d descriptors suffice\n", n_free);
			return;
		}
	}
	fail("%d descriptors are not enough", MAX_FREE_FDS);
}

static uint64_t
address_space(void)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f == NULL || fscanf(f, "%lu", &pages) != 1)
		fail("/proc/self/statm");
	fclose(f);
	return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void
run_out_of_memory(const char *name, struct port *a, struct port *b)
{
	struct rlimit lim, all;
	struct port p, again;
	unsigned int i;

	if (getrlimit(RLIMIT_AS, &all) < 0)
		fail("getrlimit");
	for (i = 0; i < MAX_STEPS; i++) {
		int err, ret;

		check_pipe(a, b);
		lim.rlim_cur = address_space() + ((uint64_t)i * STEP_MIB << 20);
		lim.rlim_max = all.rlim_max;
		setrlimit(RLIMIT_AS, &lim);
		ret = try_open(&p, name, NR_EXCLUSIVE);
		err = errno;
		setrlimit(RLIMIT_AS, &all);
		errno = err;
		if (ret == 0) {
			close_port(&p);
			printf("%u MiB suffice\n", i * STEP_MIB);
			return;
		}
		if (err != ENOMEM)
			fail("%u MiB: not ENOMEM", i * STEP_MIB);
		if (p.fd >= 0) {
			if (try_open(&again, name, NR_EXCLUSIVE) < 0)
				fail("%u MiB: the failed REGISTER has left the port taken",
					i * STEP_MIB);
			close_port(&again);
			if (try_register(&p, name, NR_EXCLUSIVE) < 0)
				fail("%u MiB: no second try on the same descriptor", i * STEP_MIB);
		}
		close_port(&p);
	}
	fail("%u MiB are not enough", MAX_STEPS * STEP_MIB);
}

static void
open_and_wait(const char *name)
{
	struct port p;
	char c;

	if (try_open(&p, name, 0) < 0)
		fail("%s", name);
	puts("open");
	fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) > 0)
		; /* until it is closed */
}

int
main(int argc, char **argv)
{
	struct port a, b;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(LIFE_S);
	if (argc == 3 && strcmp(argv[1], "open") == 0) {
		open_and_wait(argv[2]);
		return 0;
	}
	if (argc != 3 || (strcmp(argv[1], "fds") != 0 && strcmp(argv[1], "memory") != 0)) {
		fputs("usage: bl-client open|fds|memory PORT\n", stderr);
		return 1;
	}
	if (try_open(&a, "before{1", 0) < 0 || try_open(&b, "before}1", 0) < 0)
		fail("the first port");
	check_pipe(&a, &b);
	if (argv[1][0] == 'f')
		run_out_of_fds(argv[2], &a, &b);
	else
		run_out_of_memory(argv[2], &a, &b);
	check_pipe(&a, &b);
	return 0;
}
