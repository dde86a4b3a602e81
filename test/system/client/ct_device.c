/* SPDX-License-Identifier: BSD-2-Clause */
/* Proves the file operations of /dev/netmap other than waiting: names, flags, numbers, mappings, the end of a binding (spec 4). */
#include "ct.h"

#include <sys/stat.h>

#define EXCLUSIVE_NAME "valect:excl"

static void
path_looks_like_a_device(void)
{
	struct stat st;

	CHECK_EQ(stat("/dev/netmap", &st), 0);
	CHECK(S_ISCHR(st.st_mode));
	CHECK_EQ(lstat("/dev/netmap", &st), 0);
	CHECK_EQ(fstatat(AT_FDCWD, "/dev/netmap", &st, 0), 0);
	CHECK_EQ(access("/dev/netmap", R_OK | W_OK), 0);
	CHECK_ERR(access("/dev/netmap", X_OK), EACCES);
	CHECK_EQ(faccessat(AT_FDCWD, "/dev/netmap", F_OK, 0), 0);
	CHECK_ERR(stat("/dev/netmap0", &st), ENOENT);
}

static void
open_flags(void)
{
	int fd = open("/dev/netmap", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	CHECK(fd >= 0 && fd < 100);
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
	CHECK_EQ(fcntl(fd, F_SETFL, 0), 0);
	CHECK(!(fcntl(fd, F_GETFL) & O_NONBLOCK));
	CHECK_EQ(close(fd), 0);
	fd = openat(AT_FDCWD, "/dev/netmap", O_RDWR);
	CHECK(fd >= 0);
	CHECK_EQ(fcntl(fd, F_GETFD), 0);
	CHECK_EQ(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
	CHECK_EQ(close(fd), 0);
	CHECK_ERR(close(fd), EBADF);
}

static void
no_read_no_write(void)
{
	const int fd = ct_open_device();
	char c = 0;

	CHECK_ERR(read(fd, &c, 1), EINVAL);
	CHECK_ERR(write(fd, &c, 1), EINVAL);
}

static void
unbound(void)
{
	const int fd = ct_open_device();
	struct pollfd pfd = {fd, POLLIN, 0};

	CHECK_ERR(ioctl(fd, NIOCTXSYNC, NULL), ENXIO);
	CHECK_ERR(ioctl(fd, NIOCRXSYNC, NULL), ENXIO);
	CHECK_ERR(ioctl(fd, NIOCCTRL, NULL), EINVAL);
	CHECK_ERR(ioctl(fd, NIOCREGIF, NULL), EINVAL);
	CHECK_ERR(ioctl(fd, 0x6993, &pfd), EOPNOTSUPP);
	CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
	CHECK_EQ(errno, EINVAL);
	CHECK_EQ(poll(&pfd, 1, CT_WAIT_MS), 1);
	CHECK_EQ(pfd.revents, POLLERR);
}

static void
mappings(void)
{
	struct ct_port p = ct_port("valect:maps", 0);
	const size_t size = p.mem_size;
	char *again, *part, *fixed;

	CHECK(mmap(NULL, size + 4096, PROT_READ, MAP_SHARED, p.fd, 0) == MAP_FAILED);
	CHECK_EQ(errno, EINVAL);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, p.fd, (off_t)size) == MAP_FAILED);
	CHECK_EQ(errno, EINVAL);
	again = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, p.fd, 0);
	CHECK(again != MAP_FAILED);
	part = mmap(NULL, 4096, PROT_READ, MAP_SHARED, p.fd, 4096);
	CHECK(part != MAP_FAILED);
	CHECK(memcmp(part, p.mem + 4096, 4096) == 0);
	CHECK_EQ(munmap(part, 4096), 0);
	fixed = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(fixed != MAP_FAILED);
	CHECK(mmap(fixed, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, p.fd, 0) == fixed);
	CHECK(memcmp(fixed, p.mem, 4096) == 0);
	CHECK_EQ(munmap(fixed, size), 0);
	/* Each mapping ends by itself, and memory outlives the descriptor */
	CHECK_EQ(munmap(again, size), 0);
	CHECK_EQ(close(p.fd), 0);
	CHECK_EQ(p.nifp->ni_tx_rings, 1);
	CHECK_EQ(munmap(p.mem, size), 0);
}

/* Is the port free again? Only the end of the binding gives NR_EXCLUSIVE to another. */
static bool
is_free(void)
{
	struct nmreq_register reg = {.nr_mode = NR_REG_ALL_NIC, .nr_flags = NR_EXCLUSIVE};
	const int fd = ct_open_device();
	const int r = ct_register(fd, EXCLUSIVE_NAME, &reg);

	CHECK(r == 0 || errno == EBUSY);
	CHECK_EQ(close(fd), 0);
	return r == 0;
}

static void
last_close_unregisters(void)
{
	struct ct_port p = ct_port(EXCLUSIVE_NAME, NR_EXCLUSIVE);
	int d[5], i;

	d[0] = dup(p.fd);
	d[1] = fcntl(p.fd, F_DUPFD, 100);
	d[2] = fcntl(p.fd, F_DUPFD_CLOEXEC, 200);
	d[3] = dup2(p.fd, 300);
	d[4] = dup3(p.fd, 301, O_CLOEXEC);
	CHECK(d[1] >= 100 && d[2] >= 200 && d[3] == 300 && d[4] == 301);
	CHECK_EQ(close(p.fd), 0);
	for (i = 0; i < 5; i++) {
		CHECK(!is_free());
		CHECK_EQ(ioctl(d[i], NIOCTXSYNC, NULL), 0);
		CHECK_EQ(ioctl(d[i], NIOCRXSYNC, NULL), 0);
		CHECK_EQ(close(d[i]), 0);
		CHECK_ERR(ioctl(d[i], NIOCRXSYNC, NULL), EBADF);
	}
	CHECK(is_free());
}

static void
replaced_by_dup2(void)
{
	struct ct_port p = ct_port(EXCLUSIVE_NAME, NR_EXCLUSIVE);
	int pipefd[2];

	CHECK_EQ(pipe(pipefd), 0);
	CHECK_EQ(dup2(pipefd[0], p.fd), p.fd);
	CHECK_ERR(ioctl(p.fd, NIOCRXSYNC, NULL), ENOTTY);
	CHECK(is_free());
}

static void
bound_once(void)
{
	struct ct_port p = ct_port("valect:once", 0);
	struct nmreq_register reg = {.nr_mode = NR_REG_ALL_NIC};

	CHECK_ERR(ct_register(p.fd, "valect:other", &reg), EBUSY);
}

static void
errno_is_kept(void)
{
	struct ct_port p = ct_port("valect:errno", 0);
	struct pollfd pfd = {p.fd, POLLIN, 0};

	errno = E2BIG;
	CHECK(ioctl(p.fd, NIOCTXSYNC, NULL) == 0 && errno == E2BIG);
	CHECK(ioctl(p.fd, NIOCRXSYNC, NULL) == 0 && errno == E2BIG);
	CHECK(poll(&pfd, 1, 0) == 0 && errno == E2BIG);
	CHECK(poll(&pfd, 1, 1) == 0 && errno == E2BIG);
	ct_close(&p);
	CHECK_EQ(errno, E2BIG);
}

/* How many lines a file under /proc/self has; of a directory, entries. */
static int
count(const char *path)
{
	char command[64], line[16] = "";
	FILE *f;

	snprintf(command, sizeof(command), "ls -U1 %s | wc -l", path);
	f = popen(command, "r");
	CHECK(f != NULL && fgets(line, sizeof(line), f) != NULL);
	pclose(f);
	return atoi(line);
}

static void
many_open_and_close(void)
{
	char fds[32], maps[32];
	int n_fds = 0, n_maps = 0, lowest = -1, i;

	snprintf(fds, sizeof(fds), "/proc/%d/fd", (int)getpid());
	snprintf(maps, sizeof(maps), "/proc/%d/map_files", (int)getpid());
	for (i = 0; i < 200; i++) {
		struct ct_port p = ct_port("valect:many", 0);

		if (lowest < 0)
			lowest = p.fd;
		CHECK_EQ(p.fd, lowest);
		ct_close(&p);
		if (i == 10) {
			n_fds = count(fds);
			n_maps = count(maps);
		}
	}
	/* Nothing is left behind: one more or less may be on its way */
	CHECK(count(fds) <= n_fds + 1 && count(maps) <= n_maps + 1);
}

static const struct ct_case cases[] = {
	{"path_looks_like_a_device", path_looks_like_a_device},
	{"open_flags", open_flags},
	{"no_read_no_write", no_read_no_write},
	{"unbound", unbound},
	{"mappings", mappings},
	{"last_close_unregisters", last_close_unregisters},
	{"replaced_by_dup2", replaced_by_dup2},
	{"bound_once", bound_once},
	{"errno_is_kept", errno_is_kept},
	{"many_open_and_close", many_open_and_close},
};

int
main(int argc, char **argv)
{
	return ct_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
