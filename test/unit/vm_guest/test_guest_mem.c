/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest memory: what a front end may say and may not, translations at the borders of regions, the
 * dirty log bit by bit, and loads from memory that is truncated under us.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "vm/guest_mem.h"

#define PAGE	 4096ull
#define GPA	 0x100000ull
#define UADDR	 0x7f0000000000ull
#define FILE_LEN (64 * PAGE)

static int
make_file(uint64_t size)
{
	const int fd = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

static struct unm_guest_region_desc
region(uint64_t gpa, uint64_t size, uint64_t uaddr, uint64_t ofs)
{
	return (struct unm_guest_region_desc){
		.gpa = gpa, .size = size, .uaddr = uaddr, .mmap_ofs = ofs};
}

struct add_case {
	const char *what;
	struct unm_guest_region_desc d;
	int result;
};

/* One region of 16 pages at GPA, UADDR is there already. */
static const struct add_case add_cases[] = {
	{"behind it", {GPA + 16 * PAGE, PAGE, UADDR + 16 * PAGE, 0}, 0},
	{"in front of it", {GPA - PAGE, PAGE, UADDR - PAGE, 0}, 0},
	{"end of the file", {0, PAGE, PAGE, FILE_LEN - PAGE}, 0},
	{"last page of all", {UINT64_MAX - PAGE + 1, PAGE, PAGE, 0}, 0},
	{"not a whole page", {0, 100, 0, 0}, 0},
	{"within pages", {0x123, 100, PAGE + 0x123, 0x123}, 0},
	{"empty", {0, 0, 0, 0}, -EINVAL},
	{"longer than the file", {0, FILE_LEN + 1, 0, 0}, -EINVAL},
	{"behind the end", {0, PAGE, 0, FILE_LEN}, -EINVAL},
	{"offset wraps", {0, PAGE, 0, UINT64_MAX - PAGE + 1}, -EINVAL},
	{"offset and size wrap", {0, 2 * PAGE, 0, UINT64_MAX - PAGE + 1}, -EINVAL},
	{"covers all there is", {0, UINT64_MAX, 0, 0}, -EEXIST},
	{"guest address wraps", {UINT64_MAX - PAGE + 1, 2 * PAGE, PAGE, 0}, -EINVAL},
	{"user address wraps", {0, 2 * PAGE, UINT64_MAX - PAGE + 1, 0}, -EINVAL},
	{"guest address not as the file", {8, PAGE, 0, 0}, -EINVAL},
	{"user address not as the file", {0, PAGE, 8, 0}, -EINVAL},
	{"same", {GPA, 16 * PAGE, UADDR, 0}, -EEXIST},
	{"guest addresses overlap", {GPA + 15 * PAGE, PAGE, PAGE, 0}, -EEXIST},
	{"by the last page", {GPA - PAGE, 2 * PAGE, PAGE, 0}, -EEXIST},
	{"user addresses overlap", {0, PAGE, UADDR + 15 * PAGE, 0}, -EEXIST},
	{"covers it", {0, FILE_LEN - PAGE, UADDR - PAGE, 0}, -EEXIST},
};

static void
adds_what_is_right(void **state)
{
	const struct unm_guest_region_desc first = region(GPA, 16 * PAGE, UADDR, 0);
	const int fd = make_file(FILE_LEN);
	struct unm_guest_mem m;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(add_cases) / sizeof(add_cases[0]); i++) {
		const struct add_case *c = &add_cases[i];
		int ret;

		unm_guest_mem_init(&m);
		assert_int_equal(unm_guest_mem_add(&m, &first, fd), 0);
		ret = unm_guest_mem_add(&m, &c->d, fd);
		if (ret != c->result)
			fail_msg("%s: %d, expected %d", c->what, ret, c->result);
		assert_int_equal(m.n_regions, ret == 0 ? 2 : 1);
		unm_guest_mem_clear(&m);
		assert_int_equal(m.n_regions, 0);
	}
	close(fd);
}

static void
refuses_wrong_descriptors(void **state)
{
	const struct unm_guest_region_desc d = region(0, PAGE, 0, 0);
	struct unm_guest_mem m;
	int fds[6], pair[2], i;

	(void)state;
	assert_int_equal(pipe(pair), 0);
	fds[0] = pair[0];
	fds[1] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fds[2] = open("/dev/null", O_RDWR | O_CLOEXEC);
	fds[3] = make_file(PAGE - 1);
	fds[4] = make_file(PAGE);
	assert_int_equal(fcntl(fds[4], F_ADD_SEALS, F_SEAL_WRITE), 0);
	fds[5] = -1;
	unm_guest_mem_init(&m);
	for (i = 0; i < 6; i++) {
		const bool is_memory = i == 3 || i == 4;

		if (unm_guest_mem_add(&m, &d, fds[i]) != (is_memory ? -EINVAL : -EMEDIUMTYPE))
			fail_msg("descriptor %d was accepted, or refused for another reason", i);
		assert_int_equal(m.n_regions, 0);
	}
	for (i = 0; i < 5; i++)
		close(fds[i]);
	close(pair[1]);
}

static void
removes_and_fills_up(void **state)
{
	struct unm_guest_region_desc d;
	const int fd = make_file(FILE_LEN);
	struct unm_guest_mem m;
	unsigned int i;

	(void)state;
	unm_guest_mem_init(&m);
	for (i = 0; i < UNM_GUEST_MAX_REGIONS; i++) {
		d = region(i * PAGE, PAGE, UADDR + i * PAGE, i * PAGE);
		assert_int_equal(unm_guest_mem_add(&m, &d, fd), 0);
	}
	d = region(i * PAGE, PAGE, UADDR + i * PAGE, 0);
	assert_int_equal(unm_guest_mem_add(&m, &d, fd), -ENOSPC);
	d = region(5 * PAGE, PAGE, UADDR + 6 * PAGE, 0);
	assert_int_equal(unm_guest_mem_remove(&m, &d), -ENOENT);
	d = region(5 * PAGE, PAGE, UADDR + 5 * PAGE, 77 * PAGE); /* the offset does not matter */
	assert_int_equal(unm_guest_mem_remove(&m, &d), 0);
	assert_int_equal(unm_guest_mem_remove(&m, &d), -ENOENT);
	assert_null(unm_guest_from_user(&m, UADDR + 5 * PAGE, 1));
	assert_non_null(unm_guest_from_user(&m, UADDR + 6 * PAGE, 1));
	d.mmap_ofs = 0;
	assert_int_equal(unm_guest_mem_add(&m, &d, fd), 0);
	unm_guest_mem_clear(&m);
	close(fd);
}

static void
translates_at_borders(void **state)
{
	/* Adjacent for the guest, far apart in the file and for the front end. */
	const struct unm_guest_region_desc a = region(GPA, 2 * PAGE, UADDR, 8 * PAGE);
	const struct unm_guest_region_desc b =
		region(GPA + 2 * PAGE, PAGE, UADDR + 100 * PAGE, 4 * PAGE);
	const int fd = make_file(FILE_LEN);
	struct unm_guest_mem m;
	uint64_t len;
	uint8_t *p;

	(void)state;
	unm_guest_mem_init(&m);
	len = 1;
	assert_null(unm_guest_map(&m, 0, &len));
	assert_int_equal(unm_guest_mem_add(&m, &a, fd), 0);
	assert_int_equal(unm_guest_mem_add(&m, &b, fd), 0);

	assert_int_equal(pwrite(fd, "last of a", 9, 10 * PAGE - 9), 9);
	assert_int_equal(pwrite(fd, "first of b", 10, 4 * PAGE), 10);
	len = 19;
	p = unm_guest_map(&m, GPA + 2 * PAGE - 9, &len);
	assert_int_equal(len, 9);
	assert_memory_equal(p, "last of a", 9);
	len = 10;
	p = unm_guest_map(&m, GPA + 2 * PAGE, &len);
	assert_int_equal(len, 10);
	assert_memory_equal(p, "first of b", 10);
	len = UINT64_MAX;
	assert_non_null(unm_guest_map(&m, GPA + 3 * PAGE - 1, &len));
	assert_int_equal(len, 1);
	len = 1;
	assert_null(unm_guest_map(&m, GPA + 3 * PAGE, &len));
	assert_null(unm_guest_map(&m, GPA - 1, &len));
	assert_null(unm_guest_map(&m, UINT64_MAX, &len));

	assert_non_null(unm_guest_from_user(&m, UADDR, 2 * PAGE));
	assert_null(unm_guest_from_user(&m, UADDR, 2 * PAGE + 1));
	assert_null(unm_guest_from_user(&m, UADDR + PAGE, UINT64_MAX));
	assert_null(unm_guest_from_user(&m, UADDR - 1, 1));
	assert_int_equal(unm_guest_user_to_gpa(&m, UADDR + 100 * PAGE + 5, 1), GPA + 2 * PAGE + 5);
	assert_true(unm_guest_user_to_gpa(&m, UADDR + 101 * PAGE, 1) == UINT64_MAX);
	unm_guest_mem_clear(&m);
	close(fd);
}

static void
replaces_all_or_nothing(void **state)
{
	const struct unm_guest_region_desc old = region(GPA, PAGE, UADDR, 0);
	struct unm_guest_region_desc set[2] = {
		{0, PAGE, 0, 0}, {PAGE, PAGE, 0, 0} /* overlaps for the front end */};
	const int fd = make_file(FILE_LEN);
	const int fds[2] = {fd, fd};
	struct unm_guest_mem m;

	(void)state;
	unm_guest_mem_init(&m);
	assert_int_equal(unm_guest_mem_add(&m, &old, fd), 0);
	assert_int_equal(unm_guest_mem_replace(&m, set, fds, 2), -EEXIST);
	assert_int_equal(m.n_regions, 1);
	assert_non_null(unm_guest_from_user(&m, UADDR, PAGE));
	set[1].uaddr = PAGE;
	assert_int_equal(unm_guest_mem_replace(&m, set, fds, 2), 0);
	assert_int_equal(m.n_regions, 2);
	assert_null(unm_guest_from_user(&m, UADDR, 1));
	assert_non_null(unm_guest_from_user(&m, PAGE, PAGE));
	assert_int_equal(unm_guest_mem_replace(&m, NULL, NULL, 0), 0);
	assert_int_equal(m.n_regions, 0);
	close(fd);
}

/* Bits of the log that are set, as a number; the log is cleared. */
static uint64_t
take_bits(uint8_t *log)
{
	uint64_t bits;

	memcpy(&bits, log, sizeof(bits));
	memset(log, 0, sizeof(bits));
	return bits;
}

static void
logs_pages(void **state)
{
	const int fd = make_file(PAGE);
	struct unm_guest_mem m;
	uint8_t *log;

	(void)state;
	log = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(log, MAP_FAILED);
	unm_guest_mem_init(&m);
	unm_guest_dirty(&m, 0, PAGE); /* no log: nothing happens */
	assert_int_equal(unm_guest_mem_set_log(&m, fd, PAGE + 1, 0), -EINVAL);
	assert_int_equal(unm_guest_mem_set_log(&m, fd, 0, 0), -EINVAL);
	assert_int_equal(unm_guest_mem_set_log(&m, fd, 8, 16), 0); /* 64 pages, not at the start */
	unm_guest_dirty(&m, 0, PAGE);				   /* not turned on yet */
	assert_true(take_bits(log + 16) == 0);
	unm_guest_mem_enable_log(&m, true);
	unm_guest_dirty(&m, 0, 1);
	assert_true(take_bits(log + 16) == 1);
	unm_guest_dirty(&m, PAGE - 1, 2);
	assert_true(take_bits(log + 16) == 3);
	unm_guest_dirty(&m, 8 * PAGE, 3 * PAGE);
	assert_true(take_bits(log + 16) == 0x700);
	unm_guest_dirty(&m, PAGE, 0);
	unm_guest_dirty(&m, 64 * PAGE, PAGE);		  /* behind the log */
	unm_guest_dirty(&m, UINT64_MAX - PAGE, 2 * PAGE); /* wraps */
	assert_true(take_bits(log + 16) == 0);
	unm_guest_dirty(&m, 63 * PAGE, 2 * PAGE); /* half behind the log */
	assert_true(take_bits(log + 16) == 1ull << 63);
	assert_true(take_bits(log) == 0 && take_bits(log + 8) == 0 && take_bits(log + 24) == 0);

	/* A second log in place of the first, in use at once. */
	assert_int_equal(unm_guest_mem_set_log(&m, fd, 8, 32), 0);
	unm_guest_dirty(&m, 0, 1);
	assert_true(take_bits(log + 32) == 1);
	unm_guest_mem_enable_log(&m, false);
	unm_guest_dirty(&m, 0, 1);
	assert_int_equal(unm_guest_mem_set_log(&m, -1, 0, 0), 0);
	unm_guest_mem_enable_log(&m, true);
	unm_guest_dirty(&m, 0, 1);
	assert_true(take_bits(log + 32) == 0);
	unm_guest_mem_clear(&m);
	munmap(log, PAGE);
	close(fd);
}

static void
survives_truncation(void **state)
{
	const struct unm_guest_region_desc d = region(0, 4 * PAGE, 0, 0);
	struct unm_guest_guard guard, other;
	struct unm_guest_mem m, n;
	const int fd = make_file(4 * PAGE);
	const int fd_other = make_file(4 * PAGE);
	uint64_t count;
	uint8_t *p;

	(void)state;
	assert_int_equal(unm_guest_guard_init(&guard), 0);
	assert_int_equal(unm_guest_guard_init(&other), 0);
	unm_guest_mem_init(&m);
	unm_guest_mem_init(&n);
	m.guard = &guard;
	n.guard = &other;
	assert_int_equal(unm_guest_mem_add(&m, &d, fd), 0);
	assert_int_equal(unm_guest_mem_add(&n, &d, fd_other), 0);
	p = unm_guest_from_user(&m, 0, 4 * PAGE);
	memset(p, 'x', 4 * PAGE);
	memset(unm_guest_from_user(&n, 0, 4 * PAGE), 'y', 4 * PAGE);
	assert_false(unm_guest_guard_failed(&guard));

	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(((volatile uint8_t *)p)[2 * PAGE + 7], 0);
	((volatile uint8_t *)p)[3 * PAGE] = 1; /* stores as well */
	assert_true(unm_guest_guard_failed(&guard));
	assert_int_equal(read(guard.event_fd, &count, sizeof(count)), sizeof(count));
	assert_false(unm_guest_guard_failed(&other));
	assert_int_equal(*(uint8_t *)unm_guest_from_user(&n, 3 * PAGE, 1), 'y');

	unm_guest_mem_clear(&m);
	unm_guest_mem_clear(&n);
	unm_guest_guard_fini(&guard);
	unm_guest_guard_fini(&other);
	close(fd);
	close(fd_other);
}

/* Every NIC but one maps all that it may, and more: the last one gets all of its own. */
static void
each_guard_has_its_own_room(void **state)
{
	static struct unm_guest_guard guard[UNM_GUEST_MAX_GUARDS], more;
	const struct unm_guest_region_desc d = region(0, PAGE, 0, 0);
	const int fd = make_file(PAGE);
	struct unm_guest_mem m;
	unsigned int k, i;

	(void)state;
	for (k = 0; k < UNM_GUEST_MAX_GUARDS; k++)
		assert_int_equal(unm_guest_guard_init(&guard[k]), 0);
	assert_int_equal(unm_guest_guard_init(&more), -EUSERS);
	for (k = 0; k + 1 < UNM_GUEST_MAX_GUARDS; k++) {
		/* None of them is touched, so any address will do. */
		for (i = 0; i < UNM_GUEST_MAX_RANGES; i++)
			assert_int_equal(unm_guest_guard_add(&guard[k],
						 (void *)(uintptr_t)((i + 1) * PAGE), PAGE),
				0);
		assert_int_equal(
			unm_guest_guard_add(&guard[k], (void *)(uintptr_t)PAGE, PAGE), -EDQUOT);
	}
	unm_guest_mem_init(&m);
	m.guard = &guard[0];
	assert_int_equal(unm_guest_mem_add(&m, &d, fd), -EDQUOT);
	m.guard = &guard[k];
	for (i = 0; i < UNM_GUEST_MAX_REGIONS; i++) {
		const struct unm_guest_region_desc r = region(i * PAGE, PAGE, i * PAGE, 0);

		assert_int_equal(unm_guest_mem_add(&m, &r, fd), 0);
	}
	assert_int_equal(unm_guest_mem_set_log(&m, fd, PAGE, 0), 0);
	assert_int_equal(unm_guest_mem_replace(&m, &d, &fd, 1), 0);
	assert_int_equal(unm_guest_mem_set_log(&m, fd, PAGE, 0), 0);

	unm_guest_mem_clear(&m);
	for (k = 0; k < UNM_GUEST_MAX_GUARDS; k++) {
		for (i = 0; i < UNM_GUEST_MAX_RANGES; i++)
			unm_guest_guard_remove(&guard[k], (void *)(uintptr_t)((i + 1) * PAGE));
		unm_guest_guard_fini(&guard[k]);
	}
	close(fd);
}

/* What is not guarded still kills: with the range removed, and for memory that was never ours. */
static void
other_faults_kill(void **state)
{
	const struct unm_guest_region_desc d = region(0, PAGE, 0, 0);
	int round, status;

	(void)state;
	for (round = 0; round < 2; round++) {
		const pid_t pid = fork();

		if (pid == 0) {
			struct unm_guest_guard guard;
			struct unm_guest_mem m;
			const int fd = make_file(PAGE);
			volatile uint8_t *p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);

			signal(SIGBUS, SIG_DFL);
			signal(SIGSEGV, SIG_DFL);
			unm_guest_guard_init(&guard);
			unm_guest_mem_init(&m);
			m.guard = &guard;
			unm_guest_mem_add(&m, &d, fd);
			if (round == 0)
				unm_guest_mem_clear(&m);
			if (ftruncate(fd, 0) == 0)
				_exit(p[0]);
			_exit(0);
		}
		assert_true(pid > 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adds_what_is_right),
		cmocka_unit_test(refuses_wrong_descriptors),
		cmocka_unit_test(removes_and_fills_up),
		cmocka_unit_test(translates_at_borders),
		cmocka_unit_test(replaces_all_or_nothing),
		cmocka_unit_test(logs_pages),
		cmocka_unit_test(survives_truncation),
		cmocka_unit_test(each_guard_has_its_own_room),
		cmocka_unit_test(other_faults_kill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
