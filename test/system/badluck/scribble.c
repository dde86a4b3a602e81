/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A peer that overwrites every shared word it can reach.
 *
 * usage: bl-scribble SECONDS PORT...
 *
 * It opens the ports and broadcasts from each, so that the library maps what a sender needs of the receivers. Then it takes all memory files
 * that it holds by descriptor, mapped or not (segments, regions, allocation maps), and stores into what they contain: anywhere, and at the
 * words that matter, random values and values that look right. It prints "scribbling" when it begins and the number of stores at the end.
 *
 * The first third of the time only rings and buffers are hit, then also krings, bindings and addresses, and only in the last third the
 * port table and the header: ports end when their entry is overwritten, and what has ended is no test of the rest.
 *
 * Only pages that exist are written: the files are sparse, and filling them would be an attack on memory, which needs no netmap.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "libnetmap.h"
#include "shm/segment.h"

#include "bl_frame.h"

#define MAX_FILES   64
#define MAX_EXTENTS 4096
#define MAX_FD	    4096
#define N_THREADS   2
#define LIFE_S	    120
#define BATCH	    1000
#define PAUSE_US    50
#define N_TARGETS   8 /* ports and bindings at the start of a table: those in use */
#define SCRIBBLER   0xfffe

/* A run of bytes that exist. */
struct extent {
	char *base;
	size_t len;
};

struct memory {
	char *base;
	size_t size;
	ino_t inode;
	bool is_segment;
	uint32_t first, n; /* extents */
};

static struct memory files[MAX_FILES];
static uint32_t n_files;
static struct extent extents[MAX_EXTENTS];
static uint32_t n_extents;
static uint64_t n_stores;
static bool is_over;
static uint32_t phase;

/* Kinds of words in a segment that are hit, by phase; the order is that of scribble_segment(). */
static const uint32_t kinds_of_phase[] = {0, 5, 7};
#define N_PHASES 3

static uint64_t
next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static uint32_t
below(uint64_t *state, uint32_t n)
{
	return (uint32_t)((next_random(state) >> 32) * n >> 32);
}

static void
die(const char *what)
{
	fprintf(stderr, "bl-scribble: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* --- what there is to write to --- */

static void
add_extents(int fd, const struct memory *m)
{
	off_t from = 0, to;

	while (n_extents < MAX_EXTENTS) { /* each turn goes on in the file */
		from = lseek(fd, from, SEEK_DATA);
		if (from < 0)
			return;
		to = lseek(fd, from, SEEK_HOLE);
		if (to <= from)
			return;
		extents[n_extents].base = m->base + from;
		extents[n_extents++].len = (size_t)(to - from);
		from = to;
	}
}

static bool
is_known(ino_t inode)
{
	uint32_t i;

	for (i = 0; i < n_files; i++)
		if (files[i].inode == inode)
			return true;
	return false;
}

/* The library's own descriptors are refused to the application by number, not to the kernel. */
static void
add_file(int fd)
{
	struct memory *m = &files[n_files];
	char path[64], target[64];
	struct stat st;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return;
	target[n] = '\0';
	if (strncmp(target, "/memfd:unetmap", 14) != 0 || syscall(SYS_fstat, fd, &st) < 0 ||
		is_known(st.st_ino) || n_files == MAX_FILES)
		return;
	m->size = (size_t)st.st_size;
	m->inode = st.st_ino;
	m->is_segment = strstr(target, "segment") != NULL;
	m->base = (char *)syscall(
		SYS_mmap, NULL, m->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0L);
	if (m->base == MAP_FAILED)
		die(target);
	m->first = n_extents;
	add_extents(fd, m);
	m->n = n_extents - m->first;
	if (m->n > 0)
		n_files++;
}

/* --- values --- */

static uint32_t
value(uint64_t *state)
{
	static const uint32_t telling[] = {0, 1, 2, 3, 0x7fffffff, 0x80000000, 0xffffffff,
		0xfffffffe, 1023, 1024, 2047, 2048, 16383, 16384, 32767, 0x80000001, 65535};

	switch (below(state, 4)) {
	case 0:
		return telling[below(state, sizeof(telling) / sizeof(telling[0]))];
	case 1:
		return below(state, 64);
	case 2:
		return 0x80000000u | below(state, 65536);
	default:
		return (uint32_t)next_random(state);
	}
}

static void
store(void *at, uint64_t *state)
{
	__atomic_store_n((uint32_t *)at, value(state), __ATOMIC_RELAXED);
}

/* --- places --- */

static void
scribble_anywhere(const struct memory *m, uint64_t *state)
{
	const struct extent *e = &extents[m->first + below(state, m->n)];

	store(e->base + (next_random(state) % e->len & ~(size_t)3), state);
}

/* A word of one of the first @used objects of @size bytes at @ofs. */
static void
scribble_table(const struct memory *m, uint64_t ofs, uint32_t used, uint32_t size, uint64_t *state)
{
	store(m->base + ofs + (uint64_t)below(state, used) * size + below(state, size / 4) * 4,
		state);
}

/* @n_kinds: how many of the cases may be hit */
static void
scribble_segment(const struct memory *m, uint32_t n_kinds, uint64_t *state)
{
	struct unm_seg_hdr own = {0};

	unm_seg_layout(&own, UNM_SEG_VALE);
	if (own.size != m->size) {
		memset(&own, 0, sizeof(own));
		unm_seg_layout(&own, UNM_SEG_DOMAIN);
	}
	switch (below(state, n_kinds)) {
	case 0:
		scribble_table(m, own.bind_ofs, N_TARGETS, sizeof(struct unm_seg_binding), state);
		break;
	case 1:
		if (own.n_fdb_buckets > 0)
			scribble_table(m, own.fdb_ofs, own.n_fdb_buckets,
				sizeof(struct unm_fdb_bucket), state);
		break;
	case 5:
		scribble_table(m, own.port_ofs, N_TARGETS, sizeof(struct unm_seg_port), state);
		break;
	case 6:
		scribble_table(m, 0, 1, sizeof(struct unm_seg_hdr), state);
		break;
	default:
		scribble_table(m, own.kring_ofs, 2 * N_TARGETS, sizeof(struct unm_kring), state);
		break;
	}
}

static void *
scribbler(void *arg)
{
	uint64_t state =
		(uint64_t)(uintptr_t)arg * UINT64_C(0x9e3779b97f4a7c15) + (uint64_t)time(NULL);
	uint32_t i;

	while (!__atomic_load_n(&is_over, __ATOMIC_RELAXED)) {
		const uint32_t kinds = kinds_of_phase[__atomic_load_n(&phase, __ATOMIC_RELAXED)];

		for (i = 0; i < BATCH; i++) {
			const struct memory *m = &files[below(&state, n_files)];

			if (!m->is_segment)
				scribble_anywhere(m, &state);
			else if (kinds > 0)
				scribble_segment(m, kinds, &state);
		}
		__atomic_fetch_add(&n_stores, BATCH, __ATOMIC_RELAXED);
		usleep(PAUSE_US); /* the others have to run into it */
	}
	return NULL;
}

/* --- start --- */

/* A frame to everybody: the library then holds the regions of all receivers. */
static void
open_and_broadcast(const char *name)
{
	struct nmport_d *port = nmport_open(name);
	char buf[BL_MIN_LEN] __attribute__((aligned(8))) = {0};
	struct bl_frame *f = (struct bl_frame *)(void *)buf;

	if (port == NULL)
		die(name);
	if (strchr(name, '/') != NULL)
		return; /* a monitor can't */
	memset(f->dst, 0xff, sizeof(f->dst));
	bl_frame_mac(f->src, SCRIBBLER, false);
	f->stream = BL_STREAM_ANNOUNCE;
	f->len = sizeof(buf);
	bl_frame_seal(f);
	if (nmport_inject(port, buf, sizeof(buf)) == 0 || ioctl(port->fd, NIOCTXSYNC, NULL) < 0)
		die("broadcast");
}

int
main(int argc, char **argv)
{
	pthread_t threads[N_THREADS];
	uint32_t phase_now;
	uintptr_t t;
	int i;

	if (argc < 3 || atoi(argv[1]) <= 0) {
		fputs("usage: bl-scribble SECONDS PORT...\n", stderr);
		return 1;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(LIFE_S);
	for (i = 2; i < argc; i++)
		open_and_broadcast(argv[i]);
	for (i = 3; i < MAX_FD; i++)
		add_file(i);
	if (n_files == 0 || n_extents == 0)
		die("no shared memory found");
	printf("scribbling over %u files in %u pieces\n", n_files, n_extents);
	fflush(stdout);
	for (t = 0; t < N_THREADS; t++)
		if (pthread_create(&threads[t], NULL, scribbler, (void *)(t + 1)) != 0)
			die("pthread_create");
	for (phase_now = 0; phase_now < N_PHASES; phase_now++) {
		__atomic_store_n(&phase, phase_now, __ATOMIC_RELAXED);
		usleep((useconds_t)atoi(argv[1]) * 1000000u / N_PHASES);
	}
	__atomic_store_n(&is_over, true, __ATOMIC_RELAXED);
	for (t = 0; t < N_THREADS; t++)
		pthread_join(threads[t], NULL);
	printf("%" PRIu64 " stores\n", n_stores);
	fflush(stdout);
	/* What the library would find in its own mappings is nobody's business now */
	_exit(0);
}
