/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fake_dev.c - see fake_dev.h.
 *
 * Programs built for large files call open64 and mmap64, others open and mmap; both are wrapped.
 */
#include "fake_dev.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>

struct fake_dev fake_dev;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

int __real_open(const char *path, int flags, ...);
int __real_open64(const char *path, int flags, ...);
int __real_ioctl(int fd, unsigned long request, ...);
void *__real_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off);
void *__real_mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t off);
int __real_munmap(void *addr, size_t len);
int __real_close(int fd);

int __wrap_open(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);
void *__wrap_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off);
void *__wrap_mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t off);
int __wrap_munmap(void *addr, size_t len);
int __wrap_close(int fd);

static int
fail(int err)
{
	errno = err;
	return -1;
}

static int
open_device(int flags)
{
	int fd;

	if (fake_dev.open_errno != 0)
		return fail(fake_dev.open_errno);
	if ((flags & O_ACCMODE) != O_RDWR)
		return fail(EACCES);
	pthread_mutex_lock(&lock);
	fake_dev.n_open++;
	fd = FAKE_FD + fake_dev.n_opened++;
	pthread_mutex_unlock(&lock);
	return fd;
}

int
__wrap_open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	if (strcmp(path, "/dev/netmap") == 0)
		return open_device(flags);
	if ((flags & O_CREAT) != 0) {
		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	return __real_open(path, flags, mode);
}

int
__wrap_open64(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	if (strcmp(path, "/dev/netmap") == 0)
		return open_device(flags);
	if ((flags & O_CREAT) != 0) {
		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	return __real_open64(path, flags, mode);
}

int
__wrap_close(int fd)
{
	if (fd < FAKE_FD)
		return __real_close(fd);
	pthread_mutex_lock(&lock);
	fake_dev.n_open--;
	pthread_mutex_unlock(&lock);
	return 0;
}

static void
answer_register(const struct nmreq_header *hdr)
{
	struct nmreq_register *reg = (struct nmreq_register *)(uintptr_t)hdr->nr_body;

	fake_dev.reg = *reg;
	reg->nr_offset = fake_dev.offset;
	reg->nr_memsize = fake_dev.memsize;
	reg->nr_mem_id = fake_dev.mem_id;
	reg->nr_tx_rings = fake_dev.n_tx;
	reg->nr_rx_rings = fake_dev.n_rx;
}

static int
answer_ctrl(const struct nmreq_header *hdr)
{
	struct nmreq_option *opt;

	fake_dev.hdr = *hdr;
	fake_dev.ext_mem = 0;
	for (opt = (struct nmreq_option *)(uintptr_t)hdr->nr_options; opt != NULL;
		opt = (struct nmreq_option *)(uintptr_t)opt->nro_next) {
		opt->nro_status = fake_dev.ioctl_errno != 0 ? fake_dev.option_status : 0;
		if (opt->nro_reqtype == NETMAP_REQ_OPT_EXTMEM)
			fake_dev.ext_mem = ((struct nmreq_opt_extmem *)opt)->nro_usrptr;
	}
	if (fake_dev.ioctl_errno != 0)
		return fail(fake_dev.ioctl_errno);
	if (hdr->nr_reqtype == NETMAP_REQ_REGISTER)
		answer_register(hdr);
	else
		((struct nmreq_port_info_get *)(uintptr_t)hdr->nr_body)->nr_mem_id =
			fake_dev.mem_id;
	return 0;
}

static int
answer_regif(struct nmreq *req)
{
	fake_dev.legacy = *req;
	if (fake_dev.ioctl_errno != 0)
		return fail(fake_dev.ioctl_errno);
	req->nr_offset = (uint32_t)fake_dev.offset;
	req->nr_memsize = (uint32_t)fake_dev.memsize;
	req->nr_arg2 = fake_dev.mem_id;
	req->nr_tx_rings = fake_dev.n_tx;
	req->nr_rx_rings = fake_dev.n_rx;
	return 0;
}

int
__wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;
	int rv;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (fd < FAKE_FD)
		return __real_ioctl(fd, request, arg);
	pthread_mutex_lock(&lock);
	if (request == NIOCCTRL)
		rv = answer_ctrl(arg);
	else if (request == NIOCREGIF)
		rv = answer_regif(arg);
	else
		rv = fail(EOPNOTSUPP);
	pthread_mutex_unlock(&lock);
	return rv;
}

static void *
map_region(size_t len, int prot, int flags, off_t off)
{
	if (fake_dev.mmap_errno != 0 || len > fake_dev.memsize || off != 0 ||
		prot != (PROT_READ | PROT_WRITE) || flags != MAP_SHARED) {
		errno = fake_dev.mmap_errno != 0 ? fake_dev.mmap_errno : EINVAL;
		return MAP_FAILED;
	}
	pthread_mutex_lock(&lock);
	fake_dev.n_mapped++;
	fake_dev.n_mmaps++;
	pthread_mutex_unlock(&lock);
	return fake_dev.mem;
}

void *
__wrap_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	if (fd < FAKE_FD)
		return __real_mmap(addr, len, prot, flags, fd, off);
	return map_region(len, prot, flags, off);
}

void *
__wrap_mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	if (fd < FAKE_FD)
		return __real_mmap64(addr, len, prot, flags, fd, off);
	return map_region(len, prot, flags, off);
}

int
__wrap_munmap(void *addr, size_t len)
{
	if (addr != fake_dev.mem || addr == NULL)
		return __real_munmap(addr, len);
	pthread_mutex_lock(&lock);
	fake_dev.n_mapped--;
	pthread_mutex_unlock(&lock);
	return 0;
}
