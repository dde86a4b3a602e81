/* SPDX-License-Identifier: BSD-2-Clause */
/* See new_file.h. */
#include "new_file.h"

#include <sys/stat.h>
#include <unistd.h>

void
vh_new_file_note(struct vh_new_file *f, const char *path)
{
	struct stat st;

	if (lstat(path, &st) == 0)
		*f = (struct vh_new_file){st.st_dev, st.st_ino};
}

void
vh_new_file_note_fd(struct vh_new_file *f, int fd)
{
	struct stat st;

	if (fstat(fd, &st) == 0)
		*f = (struct vh_new_file){st.st_dev, st.st_ino};
}

void
vh_new_file_remove(const struct vh_new_file *f, const char *path)
{
	struct stat st;

	if (f->ino != 0 && lstat(path, &st) == 0 && st.st_dev == f->dev && st.st_ino == f->ino)
		(void)unlink(path); /* what can't be removed stays, as after a kill */
}
