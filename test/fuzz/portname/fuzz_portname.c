/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_portname.c - libFuzzer on both parsers of port names, nmport_parse() and nm_parse().
 *
 * Beyond memory errors it checks that a name that is accepted gives a well-formed request, that one
 * that is refused sets errno and leaves nothing allocated, and that where both parsers accept a
 * name they mean the same by it.
 *
 * Options may open files. Linked with --wrap, open() of the device gives a descriptor on which every
 * request fails, and of anything else, for reading and writing, an empty page of memory: nothing
 * that the fuzzer writes down by chance is touched.
 */
#define NETMAP_WITH_LIBS
#include <libnetmap.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int __real_open(const char *path, int flags, ...);
int __real_open64(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);

static int n_live;

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "line %d: %s\n", __LINE__, #cond);                         \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static int
stand_in(const char *path, int flags)
{
	int fd;

	if ((flags & O_ACCMODE) != O_RDWR)
		return __real_open(path, flags, 0600);
	if (strcmp(path, NETMAP_DEVICE_NAME) == 0)
		return __real_open("/dev/null", O_RDWR);
	fd = memfd_create("stand-in", MFD_CLOEXEC);
	CHECK(fd >= 0 && ftruncate(fd, 4096) == 0);
	return fd;
}

int
__wrap_open(const char *path, int flags, ...)
{
	return stand_in(path, flags);
}

int
__wrap_open64(const char *path, int flags, ...)
{
	return stand_in(path, flags);
}

static void
check_message(struct nmctx *ctx, const char *msg)
{
	(void)ctx;
	CHECK(strlen(msg) > 0 && strlen(msg) < 1000);
}

static void *
counted_malloc(struct nmctx *ctx, size_t size)
{
	(void)ctx;
	n_live++;
	return malloc(size);
}

static void
counted_free(struct nmctx *ctx, void *ptr)
{
	(void)ctx;
	n_live--;
	free(ptr);
}

static struct nmctx ctx = {
	.verbose = 1,
	.error = check_message,
	.malloc = counted_malloc,
	.free = counted_free,
};

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	nmctx_set_default(&ctx);
	return nmport_enable_option("offset");
}

static void
check_port(const struct nmport_d *d)
{
	const size_t len = strnlen(d->hdr.nr_name, sizeof(d->hdr.nr_name));

	CHECK(len > 0 && len < sizeof(d->hdr.nr_name));
	CHECK(d->hdr.nr_version == NETMAP_API && d->hdr.nr_reqtype == NETMAP_REQ_REGISTER);
	CHECK(d->hdr.nr_body == (uintptr_t)&d->reg);
	CHECK(d->reg.nr_ringid < NM_MAX_RINGID);
	CHECK(d->reg.nr_mode >= NR_REG_ALL_NIC && d->reg.nr_mode <= NR_REG_ONE_SW);
	CHECK(d->reg.nr_mode == NR_REG_ONE_NIC || d->reg.nr_mode == NR_REG_ONE_SW ||
		d->reg.nr_ringid == 0);
}

/* Pipes are another matter: a mode with a number here, part of the name there. */
static void
check_agreement(const struct nmport_d *d, const struct nm_desc *old)
{
	const uint32_t mode = old->req.nr_flags & NR_REG_MASK;

	if (mode == NR_REG_PIPE_MASTER || mode == NR_REG_PIPE_SLAVE)
		return;
	CHECK(strcmp(d->hdr.nr_name, old->req.nr_name) == 0);
	CHECK(d->reg.nr_mode == mode);
	CHECK(d->reg.nr_flags == (old->req.nr_flags & ~(uint32_t)NR_REG_MASK));
	CHECK(d->reg.nr_ringid == old->req.nr_ringid);
	CHECK(d->reg.nr_mem_id == old->req.nr_arg2);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nm_desc old;
	struct nmport_d *d;
	char err[MAXERRMSG] = "";
	char *name = strndup((const char *)data, size);
	int rv;

	CHECK(name != NULL);
	memset((void *)&old, 0, sizeof(old));
	errno = 0;
	rv = nm_parse(name, &old, err);
	CHECK(rv == 0 || (rv == -1 && errno == EINVAL && err[0] != '\0'));

	errno = 0;
	d = nmport_prepare(name);
	if (d != NULL) {
		check_port(d);
		if (rv == 0)
			check_agreement(d, &old);
		nmport_undo_prepare(d);
	} else {
		CHECK(errno != 0);
	}
	CHECK(n_live == 0);
	free(name);
	return 0;
}
