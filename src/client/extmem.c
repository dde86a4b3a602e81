/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finding the file behind memory. See extmem.h.
 *
 * /proc/self/maps names the mapping's device, inode and path. A descriptor for it is, in this
 * order: one that the process has open for writing (the usual case, for memfds too), the path
 * opened anew, the kernel's link in /proc/self/map_files (needs privilege). Private and anonymous
 * memory is moved into a memfd in place.
 */
#include "client/extmem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "client/process.h"
#include "client/real.h"
#include "client/session.h"
#include "client/uaccess.h"

#define COPY_CHUNK 65536

/* What stands in /proc/self/maps about the memory. */
struct mapping {
	uint64_t lo, hi; /* of the first mapping that covers the start */
	uint64_t ofs;	 /* of lo in the file */
	dev_t dev;
	ino_t ino;
	bool shared;
	bool writable; /* all of the range is mapped and writable */
	bool single;   /* one mapping, or several that continue each other in one file */
	char path[256];
};

struct line {
	uint64_t lo, hi, ofs;
	unsigned int maj, min;
	ino_t ino;
	char perms[5];
	char path[256];
};

static bool
parse_line(const char *text, struct line *l)
{
	uint64_t ino;
	int at = 0;

	if (sscanf(text, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64 " %n", &l->lo,
		    &l->hi, l->perms, &l->ofs, &l->maj, &l->min, &ino, &at) < 7)
		return false;
	l->ino = ino;
	snprintf(l->path, sizeof(l->path), "%s", text + at);
	l->path[strcspn(l->path, "\n")] = '\0';
	return true;
}

static void
first_part(struct mapping *m, const struct line *l)
{
	m->lo = l->lo;
	m->hi = l->hi;
	m->ofs = l->ofs;
	m->dev = makedev(l->maj, l->min);
	m->ino = l->ino;
	m->shared = l->perms[3] == 's';
	m->writable = l->perms[1] == 'w';
	m->single = true;
	memcpy(m->path, l->path, sizeof(m->path));
}

static void
next_part(struct mapping *m, const struct line *l)
{
	const bool goes_on = l->ino == m->ino && makedev(l->maj, l->min) == m->dev &&
			     l->ofs == m->ofs + (m->hi - m->lo) &&
			     (l->perms[3] == 's') == m->shared;

	m->single = m->single && goes_on;
	m->writable = m->writable && l->perms[1] == 'w';
	m->hi = l->hi;
}

/* Return: 0, -EFAULT a part is not mapped, -errno no /proc. */
static int
look_up(uint64_t addr, uint64_t end, struct mapping *m)
{
	FILE *f = fopen("/proc/self/maps", "re");
	bool begun = false;
	char text[512];
	int err = -EFAULT;

	if (f == NULL)
		return -errno;
	while (err != 0 &&
		fgets(text, sizeof(text), f) != NULL) { /* bounded by the number of mappings */
		struct line l;

		if (!parse_line(text, &l) || l.hi <= addr)
			continue;
		if (l.lo > (begun ? m->hi : addr))
			break; /* a gap */
		if (begun)
			next_part(m, &l);
		else
			first_part(m, &l);
		begun = true;
		if (m->hi >= end)
			err = 0;
	}
	fclose(f);
	return err;
}

static bool
is_file(int fd, const struct mapping *m)
{
	struct stat st;
	const long flags = UNM_RAW_FCNTL(fd, F_GETFL, 0L);

	return flags >= 0 && (flags & O_ACCMODE) == O_RDWR && fstat(fd, &st) == 0 &&
	       st.st_ino == m->ino && st.st_dev == m->dev;
}

/* Return: a new descriptor or -1. */
static int
find_open(const struct mapping *m)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *e;
	int found = -1;

	if (dir == NULL)
		return -1;
	while (found < 0 && (e = readdir(dir)) != NULL) { /* bounded by the open descriptors */
		const int fd = atoi(e->d_name);

		if (e->d_name[0] != '.' && is_file(fd, m))
			found = (int)UNM_RAW_FCNTL(fd, F_DUPFD_CLOEXEC, 0L);
	}
	closedir(dir);
	return found;
}

static int
open_checked(const char *path, const struct mapping *m)
{
	const int fd = UNM_REAL(open)(path, O_RDWR | O_CLOEXEC);

	if (fd >= 0 && !is_file(fd, m)) {
		UNM_RAW_CLOSE(fd);
		return -1;
	}
	return fd;
}

static int
find_file(const struct mapping *m)
{
	char link[96];
	int fd = find_open(m);

	if (fd < 0 && m->path[0] == '/')
		fd = open_checked(m->path, m);
	if (fd >= 0)
		return fd;
	snprintf(link, sizeof(link), "/proc/self/map_files/%" PRIx64 "-%" PRIx64, m->lo, m->hi);
	return open_checked(link, m);
}

/* Fill @fd with what the memory holds now. */
static int
copy_contents(int fd, uint64_t addr, uint64_t size)
{
	char *buf = malloc(COPY_CHUNK);
	uint64_t done = 0;
	int err = buf == NULL ? -ENOMEM : 0;

	while (err == 0 && done < size) {
		const size_t len = size - done < COPY_CHUNK ? size - done : COPY_CHUNK;

		err = unm_user_read(buf, addr + done, len);
		if (err == 0 && pwrite(fd, buf, len, (off_t)done) != (ssize_t)len)
			err = -ENOMEM;
		done += len;
	}
	free(buf);
	return err;
}

static int
move_to_memfd(uint64_t addr, uint64_t size)
{
	int fd = memfd_create("unetmap-extmem", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int err;

	if (fd < 0)
		return -errno;
	err = ftruncate(fd, (off_t)size) < 0 ? -errno : copy_contents(fd, addr, size);
	if (err == 0 && UNM_REAL(mmap)((void *)(uintptr_t)addr, size, PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		err = -errno;
	if (err < 0) {
		UNM_RAW_CLOSE(fd);
		return err;
	}
	return fd;
}

static int
find(uint64_t addr, uint64_t size, uint64_t *ofs)
{
	struct mapping m = {0};
	int err = look_up(addr, addr + size, &m);
	int fd;

	if (err == 0 && !m.writable)
		err = -EFAULT;
	if (err < 0) {
		unm_set_error("option EXTMEM: not all of the memory is mapped and writable");
		return err == -EFAULT ? err : -EFAULT;
	}
	if (m.shared && m.ino != 0) {
		fd = m.single ? find_file(&m) : -1;
		if (fd >= 0) {
			*ofs = m.ofs + (addr - m.lo);
			return fd;
		}
		/* Shared anonymous memory has a file that nobody can open */
		if (strncmp(m.path, "/dev/zero", 9) != 0) {
			unm_set_error("option EXTMEM: the memory maps a file that can't be opened: "
				      "keep its descriptor open");
			return -EFAULT;
		}
	}
	*ofs = 0;
	return move_to_memfd(addr, size);
}

int
unm_extmem_find(uint64_t addr, uint64_t size, int *out, uint64_t *ofs)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	const uint64_t rounded = (size + page - 1) & ~(page - 1);
	int fd;

	if (size == 0 || addr % page != 0 || rounded < size || addr + rounded < addr) {
		unm_set_error(
			"option EXTMEM: nro_usrptr must be page-aligned, and nr_memsize not 0");
		return -EINVAL;
	}
	fd = find(addr, rounded, ofs);
	if (fd < 0)
		return fd;
	/* Refused for plain files, which nobody but their owner should shrink anyway */
	fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK);
	*out = fd;
	return 0;
}
