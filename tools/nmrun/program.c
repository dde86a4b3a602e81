/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looking at a program before it is run. See program.h.
 *
 * LD_PRELOAD is a request to the dynamic linker: a program without one ignores it without a word,
 * and one that runs with more privilege than its caller is made to ignore it. Both would look as if
 * netmap were missing.
 */
#include "program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define MAX_PHDRS 64 /* programs have about a dozen */

struct head {
	unsigned char bytes[256]; /* begins with "#! interpreter" or an ELF header */
	ssize_t len;
	int fd;
};

static int
check_executable(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) && access(path, X_OK) == 0 ? 0 : -EACCES;
}

int
nmrun_program_find(const char *name, char *path, size_t size)
{
	const char *p = getenv("PATH");
	int err = -ENOENT;

	if (strchr(name, '/') != NULL) {
		if ((size_t)snprintf(path, size, "%s", name) >= size)
			return -ENAMETOOLONG;
		return check_executable(path);
	}
	for (p = p != NULL ? p : "/usr/local/bin:/usr/bin:/bin"; *p != '\0';) {
		const int len = (int)strcspn(p, ":");

		if ((size_t)snprintf(path, size, "%.*s/%s", len > 0 ? len : 1, len > 0 ? p : ".",
			    name) < size) {
			const int one = check_executable(path);

			if (one == 0)
				return 0;
			if (one == -EACCES)
				err = one;
		}
		p += len;
		if (*p == ':')
			p++;
	}
	return err;
}

static bool
open_head(struct head *h, const char *path)
{
	memset(h->bytes, 0, sizeof(h->bytes));
	h->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (h->fd < 0)
		return false; /* executable but not readable: nothing can be told */
	h->len = read(h->fd, h->bytes, sizeof(h->bytes) - 1);
	return true;
}

static bool
is_elf(const struct head *h)
{
	return h->len >= (ssize_t)sizeof(Elf64_Ehdr) && memcmp(h->bytes, ELFMAG, SELFMAG) == 0;
}

/* Has a 64-bit program an interpreter, the dynamic linker? Yes, if that can't be read. */
static bool
has_interpreter(const struct head *h)
{
	Elf64_Phdr phdr[MAX_PHDRS];
	Elf64_Ehdr e;
	ssize_t n;
	int i;

	memcpy(&e, h->bytes, sizeof(e));
	if (e.e_phentsize != sizeof(phdr[0]) || e.e_phnum > MAX_PHDRS)
		return true;
	n = pread(h->fd, phdr, e.e_phnum * sizeof(phdr[0]), (off_t)e.e_phoff);
	for (i = 0; n > 0 && i < (int)(n / (ssize_t)sizeof(phdr[0])); i++)
		if (phdr[i].p_type == PT_INTERP)
			return true;
	return n <= 0;
}

static bool
gains_privilege(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return false;
	if ((st.st_mode & S_ISUID) && st.st_uid != getuid())
		return true;
	if ((st.st_mode & S_ISGID) && st.st_gid != getgid())
		return true;
	return getuid() != 0 && getxattr(path, "security.capability", NULL, 0) > 0;
}

static const char *
elf_obstacle(const struct head *program, const char *library)
{
	struct head lib;
	const char *why = NULL;
	Elf64_Ehdr a, b;

	if (!open_head(&lib, library))
		return "the library can't be read";
	memcpy(&a, program->bytes, sizeof(a));
	memcpy(&b, lib.bytes, sizeof(b));
	if (!is_elf(&lib))
		why = "the library is no library";
	else if (a.e_ident[EI_CLASS] != b.e_ident[EI_CLASS] || a.e_machine != b.e_machine)
		why = "the program is for another kind of processor (or word size) than the "
		      "library";
	else if (!has_interpreter(program))
		why = "the program is statically linked: link it with -lnetmap instead";
	close(lib.fd);
	return why;
}

/* The interpreter named by a "#!" line, in place. Return: NULL if there is none. */
static char *
script_interpreter(struct head *h)
{
	char *p = (char *)h->bytes + 2;

	if (h->len < 3 || memcmp(h->bytes, "#!", 2) != 0)
		return NULL;
	p += strspn(p, " \t");
	p[strcspn(p, " \t\n")] = '\0';
	return *p == '/' ? p : NULL;
}

const char *
nmrun_program_obstacle(const char *path, const char *library)
{
	const char *why = NULL;
	char *interpreter;
	struct head h;

	if (!open_head(&h, path))
		return NULL;
	interpreter = script_interpreter(&h);
	if (interpreter !=
		/* set-id bits of scripts are ignored by Linux; its interpreter is a program */
		NULL) {
		close(h.fd);
		if (!open_head(&h, interpreter))
			return NULL;
		path = interpreter;
	}
	if (gains_privilege(path))
		why = "the program runs with more privilege than you (set-user-ID, set-group-ID or "
		      "capabilities), so the system ignores LD_PRELOAD: run it as that user";
	else if (is_elf(&h))
		why = elf_obstacle(&h, library);
	close(h.fd);
	return why;
}
