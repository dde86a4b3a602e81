/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The operations of the device. See device.h.
 *
 * The sync ioctls are the hot ones: a look-up, an epoch section (no atomic instruction), the data
 * path. Everything else takes a reference instead, as it may block.
 */
#include "client/device.h"

#include <errno.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "client/ctrl.h"
#include "client/epoch.h"
#include "client/explain.h"
#include "client/fdready.h"
#include "client/legacy.h"
#include "client/real.h"
#include "client/session.h"

bool
unm_device_is_ioctl(unsigned long req)
{
	switch ((unsigned int)req) {
	case NIOCTXSYNC:
	case NIOCRXSYNC:
	case NIOCCTRL:
	case NIOCREGIF:
	case NIOCGINFO:
	case NIOCCONFIG:
		return true;
	default:
		return false;
	}
}

static int
fail(int err)
{
	errno = -err;
	return -1;
}

struct unm_desc *
unm_device_hold(int fd)
{
	struct unm_thread *t = unm_thread_get();
	struct unm_file *f;
	bool outer;

	if (t == NULL)
		return NULL;
	outer = unm_epoch_enter(t);
	f = unm_fdtab_get(fd);
	if (f != NULL && (f->kind != UNM_FILE_DESC || !unm_file_try_hold(f)))
		f = NULL;
	unm_epoch_exit(t, outer);
	return (struct unm_desc *)f;
}

static int
sync_bound(struct unm_thread *t, struct unm_desc *d, struct unm_binding *b, int fd, bool tx)
{
	int err;

	if (__builtin_expect(UNM_READ_ONCE(b->shared->csb_mode), 0))
		return -EBUSY;
	if (tx)
		return unm_bport_txsync(b->bport);
	err = unm_bport_rxsync(b->bport);
	unm_fdready_synced(t, d, b, fd);
	return err;
}

/* Not bound here: perhaps by another holder of the descriptor. */
static int
sync_unbound(int fd, bool tx)
{
	struct unm_desc *d = unm_device_hold(fd);
	struct unm_binding *b;
	int err = -ENXIO;

	if (d == NULL)
		return -EBADF;
	b = unm_desc_find_binding(d);
	if (b != NULL)
		err = sync_bound(unm_thread_self, d, b, fd, tx);
	unm_file_put(&d->file);
	return err;
}

static int
sync_fd(int fd, bool tx)
{
	struct unm_thread *t = unm_thread_get();
	const int saved = errno;
	struct unm_binding *b = NULL;
	struct unm_file *f;
	bool outer;
	int err = -EBADF;

	if (__builtin_expect(t == NULL, 0))
		return fail(-ENOMEM);
	outer = unm_epoch_enter(t);
	f = unm_fdtab_get(fd);
	if (f != NULL && f->kind == UNM_FILE_DESC) {
		struct unm_desc *d = (struct unm_desc *)f;

		b = unm_desc_binding(d);
		if (__builtin_expect(b != NULL, 1))
			err = sync_bound(t, d, b, fd, tx);
	}
	unm_epoch_exit(t, outer);
	if (__builtin_expect(b == NULL, 0))
		err = sync_unbound(fd, tx);
	if (__builtin_expect(err < 0, 0))
		return fail(err);
	errno = saved;
	return 0;
}

/* Requests about the file, not the device: the socket answers as any file would. */
static bool
is_file_ioctl(unsigned long req)
{
	return req == FIONBIO || req == FIOCLEX || req == FIONCLEX || req == FIOASYNC;
}

static int
control_ioctl(int fd, unsigned long req, void *arg)
{
	const int saved = errno;
	struct unm_desc *d;
	int err;

	if (is_file_ioctl(req))
		return UNM_REAL(ioctl)(fd, req, arg);
	if (!unm_device_is_ioctl(req))
		return fail(-EOPNOTSUPP);
	if (arg == NULL)
		return fail(-EINVAL);
	d = unm_device_hold(fd);
	if (d == NULL)
		return fail(-EBADF);
	if ((unsigned int)req == NIOCCTRL)
		err = unm_ctrl(d, (uintptr_t)arg);
	else
		err = unm_legacy(d, (unsigned int)req, (uintptr_t)arg);
	unm_file_put(&d->file);
	unm_explain(err);
	if (err < 0)
		return fail(err);
	errno = saved;
	return 0;
}

int
unm_device_ioctl(int fd, unsigned long req, void *arg)
{
	switch ((unsigned int)req) {
	case NIOCTXSYNC:
		return sync_fd(fd, true);
	case NIOCRXSYNC:
		return sync_fd(fd, false);
	default:
		return control_ioctl(fd, req, arg);
	}
}

static void *
map_region(struct unm_mregion *r, void *addr, size_t len, int prot, int flags, off_t ofs)
{
	const uint64_t size = r->region.info.size;
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	const uint64_t rounded = ((uint64_t)len + page - 1) & ~(page - 1);
	void *p;

	if (len == 0 || ofs < 0 || (uint64_t)ofs % page != 0 || rounded < len || rounded > size ||
		(uint64_t)ofs > size - rounded) {
		errno = EINVAL;
		return MAP_FAILED;
	}
	if (rounded == size && (flags & MAP_TYPE) == MAP_SHARED &&
		!(flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) && prot == (PROT_READ | PROT_WRITE))
		return unm_memory_hand_out(r);
	p = UNM_REAL(mmap)(
		addr, len, prot, flags, r->memfd, (off_t)(r->region.info.file_ofs + (uint64_t)ofs));
	return p;
}

void *
unm_device_mmap(int fd, void *addr, size_t len, int prot, int flags, off_t ofs)
{
	struct unm_desc *d = unm_device_hold(fd);
	const int saved = errno;
	struct unm_binding *b;
	void *p = MAP_FAILED;

	if (d == NULL) {
		errno = EBADF;
		return MAP_FAILED;
	}
	b = unm_desc_find_binding(d);
	errno = saved;
	if (b != NULL)
		p = map_region(b->region, addr, len, prot, flags, ofs);
	else
		errno = EINVAL;
	unm_file_put(&d->file);
	return p;
}

short
unm_device_poll(struct unm_desc *d, short events)
{
	struct unm_binding *b = unm_desc_binding(d);

	if (__builtin_expect(b == NULL, 0)) {
		b = unm_desc_find_binding(d);
		if (b == NULL)
			return POLLERR;
	}
	if (__builtin_expect(UNM_READ_ONCE(b->shared->csb_mode), 0))
		return POLLERR;
	return unm_bport_poll(b->bport, events);
}
